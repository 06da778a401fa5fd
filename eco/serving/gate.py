"""What every request passes first: bounds on its size and time, and the count of it.

`POST /predict` is answered here, in plain ASGI: the way through a framework takes longer than the
models do.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException

from eco.serving.inputs import LINES, count_lines
from eco.serving.protocol import DEFAULT, columns, to_npy
from eco.serving.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
App = Callable[[Message, Receive, Send], Awaitable[None]]

RAW = "/predict"
JSON, NPY = b"application/json", b"application/x-npy"
FAULT = "a fault of the server, which its log names"
#: The largest body as often may be in memory.
BODIES = 16
#: The status of a request whose client has gone, in the metrics.
GONE = 499
#: What is still being sent is not read.
CLOSE = {"connection": "close"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Samples of a request, bytes of its body, and the seconds in which that must arrive.

    ``samples`` is what they are called.
    """

    max_samples: int
    max_body: int
    timeout_s: float
    samples: str = "images"

    def check_samples(self, n: int) -> None:
        """Refuse too many samples by 413."""
        if n > self.max_samples:
            limit = f"{self.max_samples} {self.samples} (--max-samples)"
            raise HTTPException(413, f"a request may hold {limit}; got {n}")

    def check_body(self, size: int, in_memory: int) -> None:
        """Refuse a body that is too large by 413, and one too many large ones by 503."""
        if size > self.max_body:
            problem = f"a body may hold {self.max_body / 1e6:g} MB (--max-body-mb)"
            raise HTTPException(413, problem, CLOSE)
        if in_memory > BODIES * self.max_body:
            raise HTTPException(503, "too many large bodies at once", CLOSE | {"retry-after": "1"})


class Gate:
    """An ASGI application before another one.

    A body that is too large is refused by its Content-Length, before any of it is read, or as soon
    as too much has arrived.
    """

    def __init__(self, app: App, service: Service, limits: Limits) -> None:
        self._app, self._service, self.limits = app, service, limits
        #: Bytes of the bodies that have arrived and are not answered yet.
        self.in_memory = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begin, is_raw = time.perf_counter(), scope["path"] == RAW
        exchange = _Exchange(self, scope, receive, send)
        try:
            if is_raw:
                await self._predict(exchange)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            log.exception("%s failed", scope["path"])
            if exchange.status == GONE:
                await exchange.answer(500, failure(FAULT), JSON)
        finally:
            self.in_memory -= exchange.arrived
            route = RAW if is_raw else getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - begin
            self._service.metrics.count_request(route, exchange.status, seconds)

    async def _predict(self, exchange: "_Exchange") -> None:
        served = self._service.served
        try:
            media = exchange.check_raw(served.inputs.media)
            if (body := await exchange.read()) is None:
                return
            if media == LINES:
                self.limits.check_samples(count_lines(body))
            X, _, ids = served.inputs.from_body(body, media)
            self.limits.check_samples(len(X))
            answered = await self._service.answer(X)
        except HTTPException as error:
            headers = [(k.encode(), v.encode()) for k, v in (error.headers or {}).items()]
            await exchange.answer(error.status_code, failure(error.detail), JSON, headers)
            return
        if exchange.accepts_npy():
            await exchange.answer(200, to_npy(answered), NPY)
        else:
            identified = {} if ids is None else {"id": ids.tolist()}
            content = json.dumps(identified | columns(answered, served, DEFAULT))
            await exchange.answer(200, content.encode(), JSON)


class _Exchange:
    """A request, whose body arrives within the limits, and its answer.

    ``status``: of the answer, `GONE` before there is one; ``arrived``: bytes of the body.
    """

    def __init__(self, gate: Gate, scope: Message, receive: Receive, send: Send) -> None:
        self.status, self.arrived = GONE, 0
        self._gate, self._scope, self._receive, self._send = gate, scope, receive, send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._end = time.monotonic() + gate.limits.timeout_s

    async def receive(self) -> Message:
        """A part of the body; 408, 413 or 503 where it breaks a limit."""
        gate = self._gate
        gate.limits.check_body(int(self._headers.get(b"content-length", 0)), gate.in_memory)
        # A timeout takes longer than a part of the answer: not where nothing is waited for.
        is_whole = not getattr(getattr(self._receive, "__self__", None), "more_body", True)
        message = await self._receive() if is_whole else await self._wait()
        size = len(message.get("body", b""))
        self.arrived += size
        gate.in_memory += size
        gate.limits.check_body(self.arrived, gate.in_memory)
        return message

    async def _wait(self) -> Message:
        try:
            async with asyncio.timeout(self._end - time.monotonic()):
                return await self._receive()
        except TimeoutError:
            problem = f"a body must arrive in {self._gate.limits.timeout_s:g} s (--timeout)"
            raise HTTPException(408, problem, CLOSE) from None

    async def read(self) -> bytes | None:
        """The whole body; None if the client is gone."""
        chunks, more = [], True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(chunks)

    def check_raw(self, media: Sequence[bytes]) -> bytes:
        """The type of the body, one of some; refuses what is none by its method and headers."""
        if self._scope["method"] != "POST":
            raise HTTPException(405, f"{RAW} takes POST", {"allow": "POST"})
        check_encoding(self._headers.get(b"content-encoding", b""))
        return check_media(self._headers.get(b"content-type", b""), *media)

    def accepts_npy(self) -> bool:
        """Whether an Accept names .npy."""
        if self._headers.get(b"accept") == NPY:
            return True
        accept = b",".join(value for name, value in self._scope["headers"] if name == b"accept")
        return NPY in map(_media, accept.split(b","))

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        self.status = message.get("status", self.status)
        with suppress(Exception):  # of a connection that uvicorn has ended: it wasn't HTTP
            await self._send(message)

    async def answer(
        self, status: int, content: bytes, media: bytes, headers: Sequence[Header] = ()
    ) -> None:
        """Send a whole answer."""
        pairs = [*headers, (b"content-type", media), (b"content-length", b"%d" % len(content))]
        self.status = status
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": pairs})
            await self._send({"type": "http.response.body", "body": content})
        except Exception as error:  # of a connection that uvicorn has ended: it wasn't HTTP
            log.debug("not sent: %s", error)


def check_media(given: bytes, *wanted: bytes) -> bytes:
    """The type that a Content-Type names; refuses another one by 415."""
    if (media := _media(given)) not in wanted:
        got = given[:60].decode("latin-1") or "none"
        types = b" or ".join(wanted).decode()
        raise HTTPException(415, f"Content-Type must be {types}; got {got}")
    return media


def check_encoding(given: bytes) -> None:
    """Refuse a Content-Encoding by 415: compressed bytes may be as many as those of samples."""
    if given.strip().lower() not in (b"", b"identity"):
        got = given[:60].decode("latin-1")
        raise HTTPException(415, f"Content-Encoding must be identity; got {got}")


def _media(given: bytes) -> bytes:
    """A media type in lower case, without parameters."""
    return given.partition(b";")[0].strip().lower()


def failure(problem: str) -> bytes:
    """The body of an answer that says why there is none."""
    return json.dumps({"error": problem}).encode()
