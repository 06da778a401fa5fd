"""Jobs in processes of their own, of which one may die without the others."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from eco.errors import EcoError

J = TypeVar("J")
R = TypeVar("R")
#: What `load` gave in this process.
_loaded: list[Callable[[Any], Any]] = []


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
    busy: dict[Future[R], tuple[ProcessPoolExecutor, J]] = {}

    def new_pool() -> ProcessPoolExecutor:  # of one: a pool breaks with any of its processes
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, spawn, initializer=_prepare, initargs=(load,))

    def submit_next(pool: ProcessPoolExecutor) -> None:
        for job in islice(waiting, 1):
            with suppress(BrokenProcessPool):  # it may have died since its last job
                busy[pool.submit(_run, job)] = pool, job
                return
            pool = new_pool()
            busy[pool.submit(_run, job)] = pool, job

    for _ in range(min(workers, len(jobs))):
        submit_next(new_pool())
    while busy:
        for future in wait(busy, return_when=FIRST_COMPLETED).done:
            pool, job = busy.pop(future)
            died = isinstance(future.exception(), BrokenProcessPool)
            submit_next(new_pool() if died else pool)
            yield job, EcoError("its process was ended") if died else future.result()


def _prepare(load: Callable[[], Callable[[Any], Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends this as it does the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _loaded.append(load())


def _run(job: Any) -> Any:
    return _loaded[0](job)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
