"""Jobs in processes of their own, of which one may die without the others."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from eco.errors import EcoError

J = TypeVar("J")
R = TypeVar("R")


def in_processes(
    load: Callable[[], Callable[[J], R]], jobs: Sequence[J], workers: int
) -> Iterator[tuple[J, R | EcoError]]:
    """Do jobs side by side, and give each with its result as soon as that is there.

    A process calls `load` once, and what that returns with one job after the other. If it dies, its
    job has an `EcoError` as its result, and another process does the next. All processes end with
    the one that started them. What is passed must be picklable: they are spawned, as a fork would
    copy the locks of threads that it doesn't copy.
    """
    waiting = iter(jobs)
    busy: dict[Connection, J] = {}

    def give(connection: Connection, job: J) -> None:
        busy[connection] = job
        with suppress(OSError):  # it has died since its last job, which shows below
            connection.send(job)

    for job in islice(waiting, workers):
        give(_start(load), job)
    while busy:
        ready = wait(list(busy))
        for connection in [each for each in busy if each in ready]:
            job, free = busy.pop(connection), True
            try:
                result = connection.recv()
            except (EOFError, OSError):
                free, result = False, EcoError("its process was ended")
            for following in islice(waiting, 1):
                give(connection if free else _start(load), following)
            yield job, result


def _start(load: Callable[[], Callable[[Any], Any]]) -> Connection:
    """Start a process; what is sent to it is a job."""
    # No pool of concurrent.futures, which breaks with any of its processes.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there, load), daemon=True).start()
    there.close()  # so that the end of the process shows here
    return here


def _serve(connection: Connection, load: Callable[[], Callable[[Any], Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends this as it does the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run = load()
    with suppress(EOFError):  # no further job comes
        while True:
            connection.send(run(connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
