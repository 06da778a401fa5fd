"""The server: its socket, its signals, and connections that do nothing."""

import math
import resource
import signal
import socket
import time
from contextlib import suppress
from typing import Any

import uvicorn

from eco.errors import EcoError, shortened
from eco.serving.gate import Gate, failure

#: Bytes of the line and the headers of a request, and of what is read at once, at most.
MAX_HEAD = 2**16


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; `EcoError` if there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Not by create_server: asyncio sends at once only where it sees that this is TCP.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        return listener
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EcoError(
            f"{shortened(host)}, port {port}, can't be listened on: {reason}",
            "Name another --host or --port; --port 0 takes any that is free.",
        ) from None


def run(app: Gate, listener: socket.socket, timeout_s: float) -> None:
    """Serve until SIGINT or SIGTERM; requests that have begun are answered first."""
    _raise_file_limit()
    config = uvicorn.Config(
        app, lifespan="off", ws="none", server_header=False, proxy_headers=False,
        log_config=None, log_level="critical", access_log=False,
        timeout_graceful_shutdown=math.ceil(2 * timeout_s), timeout_notify=1, http=_protocol(),
    )  # fmt: skip
    server = uvicorn.Server(config)
    config.callback_notify = _Idle(server, 2 * timeout_s).end_idle
    # Uvicorn raises what it caught once more at its end, where the default would kill the process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])


def _protocol() -> Any:
    """Uvicorn's protocol with a limit on the head of a request: httptools has none, h11 has one."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class Bounded(HttpToolsProtocol):
        """Refuses a head that is too long, and what is no HTTP, as other requests are refused."""

        _in_head, _length = False, 0

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head, self._length = True, 0

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._length = len(self.url) + sum(len(n) + len(value) for n, value in self.headers)
            if self._length > MAX_HEAD:
                raise ValueError  # which ends in send_400_response
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._length += len(data) if self._in_head else 0
            if self._length > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("")

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002
            status = b"400 Bad Request"
            problem = "the request must be HTTP/1.1, with a valid line, headers and length of body"
            if self._length > MAX_HEAD:
                status = b"431 Request Header Fields Too Large"
                problem = f"line and headers must have at most {MAX_HEAD:,} bytes"
            content = failure(problem)
            lines = [
                b"HTTP/1.1 " + status, b"content-type: application/json",
                b"content-length: %d" % len(content), b"connection: close", b"", content,
            ]  # fmt: skip
            self.transport.write(b"\r\n".join(lines))
            self.transport.close()

    return Bounded


def _raise_file_limit() -> None:
    """Take as many open files, and so connections, as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where it is infinite
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Idle:
    """Connections on which nothing has begun or ended for too long.

    Uvicorn ends those that wait for another request, but none that never sends one, sends one
    letter by letter or doesn't read its answer. A request without an answer is left to the gate.
    """

    def __init__(self, server: uvicorn.Server, longest_s: float) -> None:
        self._state, self._longest_s = server.server_state, longest_s
        #: By connection: its last request, whether that is over, and since when.
        self._since: dict[Any, tuple[Any, bool, float]] = {}

    async def end_idle(self) -> None:
        """Drop the connections that are idle."""
        now, before, self._since = time.monotonic(), self._since, {}
        connections: list[Any] = list(self._state.connections)
        for connection in connections:
            last = connection.cycle
            if last is not None and not last.response_started:
                continue
            is_over = last is None or last.response_complete
            known, was_over, since = before.get(connection, (last, is_over, now))
            since = since if (known, was_over) == (last, is_over) else now
            self._since[connection] = last, is_over, since
            if now - since > self._longest_s:
                connection.transport.abort()
