"""Jobs on the machines of a cluster, by Ray.

A job that dies with its process or machine is done again, so it must bear to be done twice.
"""

import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from eco import __version__
from eco.errors import EcoError, extra

J = TypeVar("J")
R = TypeVar("R")
Load = Callable[[], Callable[[J], R]]

#: How often a job is done again that ended its process.
RETRIES = 3
#: Seconds in which a cluster must take a connection.
CONNECT_S = 10
#: Jobs that a cluster is given at a time, so that millions need no memory.
QUEUED = 1000


@dataclass(frozen=True)
class _Parcel:
    """What a process of another machine needs, to load what it does jobs with."""

    load: Load[Any, Any]
    files: Mapping[Path, bytes]
    version: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def open(self) -> Callable[[Any], Any]:
        """Call `load` in a folder with the files."""
        if self.version != __version__:
            raise EcoError(
                f"ecoinference is {__version__} on a machine of the cluster, {self.version} here",
                "Install the same version everywhere.",
            )
        with tempfile.TemporaryDirectory(prefix="eco-") as folder:
            for path, content in self.files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            with chdir(folder):
                return self.load()


#: What this process has loaded, by the key of its parcel.
_loaded: dict[str, Callable[[Any], Any]] = {}
_loading = threading.Lock()


def _run(key: str, fetch: Callable[[], _Parcel], job: Any) -> Any:
    """Do a job in a process of the cluster, which loads once."""
    with _loading:
        if key not in _loaded:
            _loaded.clear()
            try:
                _loaded[key] = fetch().open()
            except EcoError as error:
                return EcoError(error.problem, error.remedy)
    return _loaded[key](job)


def in_ray(
    load: Load[J, R], jobs: Sequence[J], files: Sequence[Path]
) -> Iterator[tuple[J, R | EcoError]]:
    """Do jobs on every core of a Ray cluster, and give each with its result when that is there.

    `files` are those that `load` reads, by their paths from the working folder. The cluster is that
    of RAY_ADDRESS, or one that runs on this machine, or else one is started for these jobs. Raises
    `EcoError` if it can't be had.
    """
    with extra("ray"):
        import ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    address = os.environ.get("RAY_ADDRESS", "this machine")
    try:
        _reach(address)
        ray.init(logging_level="warning", log_to_driver=False, include_dashboard=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise EcoError(
            f"no Ray cluster can be used at {address}: {error}",
            "Check RAY_ADDRESS, and that ray status shows it; or unset it.",
        ) from None
    parcel = _Parcel(load, {path: path.read_bytes() for path in files}, __version__)
    fetch = partial(ray.get, ray.put(parcel))
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)

    def results() -> Iterator[tuple[J, R | EcoError]]:
        waiting = iter(jobs)
        busy: dict[Any, J] = {}
        try:
            while True:
                for job in islice(waiting, QUEUED - len(busy)):
                    busy[run.remote(parcel.key, fetch, job)] = job
                if not busy:
                    return
                (ready,), _ = ray.wait(list(busy))
                try:
                    result = ray.get(ready)
                except ray.exceptions.RayError as error:
                    result = _ended(error)
                yield busy.pop(ready), result
        finally:
            ray.shutdown()

    return results()


def _reach(address: str) -> None:
    """Raise OSError if nobody listens at host:port, where Ray would try for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), CONNECT_S).close()


def _ended(error: Exception) -> EcoError:
    *_, reason = str(error).strip().splitlines() or [type(error).__name__]
    return EcoError(f"its process was ended: {reason.rstrip('.')}")


#: Engines by name, but for `local`: processes of this machine.
ENGINES = {"ray": in_ray}
