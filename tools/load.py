"""Load `eco serve` and check every answer: python -m tools.load --seconds 120 -s tuned.

It starts a server of the study in this folder, on a free port, with the options after `--`. Each
connection sends one request after the other, of raw bytes; what comes back must be what the engine
answers here. Only options that leave the answers as they are make sense, so neither a budget nor a
fallback that comes into force.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import uvloop

from eco.cli.answering import Runner
from eco.cli.strategies import find_strategy
from eco.errors import EcoError, reported
from eco.serving.protocol import to_npy
from eco.serving.service import Answered
from eco.workflow import artifacts, params

HEAD = (
    "POST /predict HTTP/1.1\r\nHost: load\r\nContent-Type: application/octet-stream\r\n"
    "Accept: application/x-npy\r\nContent-Length: {}\r\n\r\n"
)
#: Probabilities may differ in their last bits where images are run together with others.
TOLERANCE = 1e-4


@dataclass
class Counts:
    """What came back: seconds of each answer, refusals and lost connections, wrong answers."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    wrong: int = 0


def make_requests(strategy: str, images: int) -> list[tuple[bytes, bytes]]:
    """Requests of the images in git, and the body that each must be answered by."""
    settings = params.load()
    if settings.data.kind != "images":
        raise EcoError(f"data.kind must be images to be sent; got {settings.data.kind}")
    runner = Runner(settings, find_strategy(settings, strategy))
    X, _ = artifacts.SAMPLE.load(dataset=settings.data.name)
    if not 1 <= images <= len(X):
        raise EcoError(f"--images must be from 1 to {len(X)}, as many as are in git; got {images}")
    pairs = []
    for start in range(0, len(X) - images + 1, images):
        body = X[start : start + images]
        content = body.tobytes()
        pairs.append(
            (HEAD.format(len(content)).encode() + content, to_npy(Answered(*runner(body))))
        )
    return pairs


def is_right(body: bytes, expected: bytes) -> bool:
    """Whether a body says the same as the one that is expected."""
    if body == expected:
        return True
    found, right = (np.load(BytesIO(each), allow_pickle=False) for each in (body, expected))
    return (
        found.shape == right.shape
        and all((found[name] == right[name]).all() for name in ("label", "answered_by"))
        and bool((abs(found["confidence"] - right["confidence"]) <= TOLERANCE).all())
    )


async def send(
    port: int, first: int, pairs: Sequence[tuple[bytes, bytes]], end: float, counts: Counts
) -> None:
    """One request after the other on one connection, until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = first
    while time.perf_counter() < end:
        request, expected = pairs[number % len(pairs)]
        number += 1
        begin = time.perf_counter()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError):
            counts.errors += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        counts.seconds.append(time.perf_counter() - begin)
        if not head.startswith(b"HTTP/1.1 200 "):
            counts.errors += 1
        elif not is_right(body, expected):
            counts.wrong += 1
    writer.close()


def server_figures(port: int) -> tuple[float, float]:
    """Bytes of memory and seconds of CPU time of the server."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read().decode()
    names = "process_resident_memory_bytes", "process_cpu_seconds_total"
    memory, cpu = (float(re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)[0]) for name in names)
    return memory, cpu


async def load(
    port: int, pairs: Sequence[tuple[bytes, bytes]], connections: int, seconds: float
) -> Counts:
    """Send requests by so many connections for so many seconds."""
    counts, end = Counts(), time.perf_counter() + seconds
    senders = (send(port, 7 * i, pairs, end, counts) for i in range(connections))
    await asyncio.gather(*senders)
    return counts


def report(counts: Counts, seconds: float, before: Sequence[float], after: Sequence[float]) -> str:
    """The figures as lines of text."""
    n = len(counts.seconds)
    p50, p99 = 1000 * np.quantile(counts.seconds or [np.nan], [0.5, 0.99])
    cpu_s = after[1] - before[1]
    return "\n".join([
        f"requests    {n:,} in {seconds:.0f} s, {n / seconds:,.0f} a second",
        f"latency     p50 {p50:.2f} ms, p99 {p99:.2f} ms",
        f"server      {1e6 * cpu_s / max(n, 1):.0f} us of CPU a request",
        f"memory      {before[0] / 1e6:.1f} MB after 1 s, {after[0] / 1e6:.1f} MB at the end",
        f"errors      {counts.errors}",
        f"wrong       {counts.wrong}",
    ])  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a server, load it, print figures; 1 after an error or a wrong answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--images", type=int, default=1, help="of a request")
    parser.add_argument("-s", "--strategy", default="chosen")
    parser.add_argument("serve", nargs="*", help="options of eco serve, after --")
    given = parser.parse_args(arguments)
    pairs = make_requests(given.strategy, given.images)
    command = [sys.executable, "-m", "eco", "serve", "--port", "0", "-s", given.strategy]
    with subprocess.Popen([*command, *given.serve], stdout=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())  # type: ignore[union-attr]
            if found is None:
                raise EcoError("eco serve did not start", "It says why above.")
            port = int(found[1])
            uvloop.run(load(port, pairs, given.connections, 1.0))
            before = server_figures(port)
            counts = uvloop.run(load(port, pairs, given.connections, given.seconds))
            print(report(counts, given.seconds, before, server_figures(port)))
        finally:
            server.terminate()
    return int(counts.errors + counts.wrong > 0)


if __name__ == "__main__":
    with reported():
        sys.exit(main())
