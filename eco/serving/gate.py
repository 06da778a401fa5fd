"""What every request passes first: bounds on its size and time, and the count of it.

`POST /predict` is answered here, in plain ASGI: the way through a framework takes longer than the
models do.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException

from eco.serving.protocol import DEFAULT, columns, from_bytes, to_npy
from eco.serving.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

RAW = "/predict"
JSON, PIXELS, NPY = b"application/json", b"application/octet-stream", b"application/x-npy"
FAULT = "a fault of the server, which its log names"
#: The largest body as often may be in memory.
BODIES = 16
#: What is still being sent is not read.
CLOSE = {"connection": "close"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Images of a request, bytes of its body, and the seconds in which that must arrive."""

    max_images: int
    max_body: int
    timeout_s: float

    def check_images(self, n: int) -> None:
        """Refuse too many images by 413."""
        if n > self.max_images:
            problem = f"a request may hold {self.max_images} images (--max-images); got {n}"
            raise HTTPException(413, problem)

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
        self._app, self._service, self._limits = app, service, limits
        self._in_memory = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begin, status, arrived = time.perf_counter(), 499, 0  # 499: the client is gone
        end = asyncio.get_running_loop().time() + self._limits.timeout_s
        scope["eco.headers"] = headers = dict(scope["headers"])

        async def bounded() -> Message:
            nonlocal arrived
            self._limits.check_body(int(headers.get(b"content-length", 0)), self._in_memory)
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                problem = f"a body must arrive in {self._limits.timeout_s:g} s (--timeout)"
                raise HTTPException(408, problem, CLOSE) from None
            size = len(message.get("body", b""))
            arrived += size
            self._in_memory += size
            self._limits.check_body(arrived, self._in_memory)
            return message

        async def answer(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            with suppress(Exception):  # of a connection that uvicorn has ended: it wasn't HTTP
                await send(message)

        is_raw = scope["path"] == RAW
        try:
            await (self._predict if is_raw else self._app)(scope, bounded, answer)
        except Exception:
            log.exception("%s failed", scope["path"])
            if status == 499:
                await _send(answer, 500, failure(FAULT), {b"content-type": JSON})
        finally:
            self._in_memory -= arrived
            route = RAW if is_raw else getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - begin
            self._service.metrics.count_request(route, status, seconds)

    async def _predict(self, scope: Message, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        try:
            status, (content, media) = 200, await self._answer(scope, receive)
        except HTTPException as error:
            status, content, media = error.status_code, failure(error.detail), JSON
            headers = {k.encode(): v.encode() for k, v in (error.headers or {}).items()}
        if content:
            await _send(send, status, content, headers | {b"content-type": media})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[bytes, bytes]:
        """The answer to a body of pixels, empty if its client is gone, and its media type."""
        headers, served = scope["eco.headers"], self._service.served
        if scope["method"] != "POST":
            raise HTTPException(405, f"{RAW} takes POST", {"allow": "POST"})
        check_media(headers.get(b"content-type", b""), PIXELS)
        check_encoding(headers.get(b"content-encoding", b""))
        chunks, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"", JSON
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        X = from_bytes(b"".join(chunks), served.shape)
        self._limits.check_images(len(X))
        answered = await self._service.answer(X)
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        if NPY in map(_media, accept.split(b",")):
            return to_npy(answered), NPY
        return json.dumps(columns(answered, served, DEFAULT)).encode(), JSON


async def _send(send: Send, status: int, content: bytes, headers: dict[bytes, bytes]) -> None:
    pairs = [*headers.items(), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


def check_media(given: bytes, wanted: bytes) -> None:
    """Refuse a Content-Type by 415."""
    if given != wanted and _media(given) != wanted:
        got = given[:60].decode("latin-1") or "none"
        raise HTTPException(415, f"Content-Type must be {wanted.decode()}; got {got}")


def check_encoding(given: bytes) -> None:
    """Refuse a Content-Encoding by 415: compressed bytes may be as many as pixels."""
    if given.strip().lower() not in (b"", b"identity"):
        got = given[:60].decode("latin-1")
        raise HTTPException(415, f"Content-Encoding must be identity; got {got}")


def _media(given: bytes) -> bytes:
    """A media type in lower case, without parameters."""
    return given.partition(b";")[0].strip().lower()


def failure(problem: str) -> bytes:
    """The body of an answer that says why there is none."""
    return json.dumps({"error": problem}).encode()
