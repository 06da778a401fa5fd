"""What a call of a model costs: by the CPU clock, or as CodeCarbon measures it."""

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eco.energy.measurement import Measurements
from eco.energy.protocol import Meter, Workload, measure
from eco.errors import MeasurementError

Array = NDArray[Any]
Call = Callable[[], Any]

#: Samples given to a classifier in one call, when it answers and when it is measured: a call of
#: scikit-learn's costs more than one of ONNX Runtime's, a forest's for each of its trees.
CALL_SIZE = 2048
#: Relative half-width of its 95 % interval at which a measured energy is narrow enough.
HALF_WIDTH = 0.05
#: As `energy.drift` of the study: by how much later runs may differ beyond their rounds.
DRIFT = 0.1
#: A call whose wall time is so many times its CPU time waits for something.
WAITING = 2.0
#: Other threads are busy that take this share of the CPU time.
OTHERS = 0.03
#: Seconds in which others show, after those in which the threads of OpenMP go on spinning.
IDLE_S, SPIN_S = 0.2, 0.25
#: Seconds in which the power of an idle GPU is read.
IDLE_GPU_S = 0.8


def by_cpu_time(calls: Mapping[str, Call], watts_per_core: float) -> Array:
    """J per sample of calls of `CALL_SIZE` samples: least CPU time x watts.

    Warns of what the CPU clock doesn't see: calls that wait for others (a GPU, another process,
    a server), and other threads of this process that are busy meanwhile.
    """
    # One thread, as the workflow measures: waiting for other threads would be billed too.
    with threadpool_limits(1):
        times = {name: _times(call) for name, call in calls.items()}
    others_s = sum(float((one.process_s - one.thread_s).sum()) for one in times.values())
    all_s = sum(float(one.process_s.sum()) for one in times.values())
    others = others_s > OTHERS * all_s and _other_threads_are_busy()
    if others:
        _warn(
            "energies='cpu_time': other threads of this process are busy, so only the thread that "
            "fits was counted, without any that an estimator starts. Fit while nothing else runs, "
            "or give numbers"
        )
    # What disturbs a call only ever adds to it.
    seconds = [float((t.thread_s if others else t.process_s).min()) for t in times.values()]
    if not all(seconds):
        raise ValueError(
            f"energies='cpu_time' takes a CPU clock that is finer than one call of {CALL_SIZE} "
            "samples; this machine's read 0 s. Set energies='measured'."
        )
    for (name, one), cpu_s in zip(times.items(), seconds, strict=True):
        wall_s = float(one.wall_s.min())
        if wall_s > WAITING * cpu_s:
            _warn(
                f"energies='cpu_time': a call of {name} takes {1e3 * wall_s:.3g} ms, of which "
                f"{1e3 * cpu_s:.3g} ms are CPU time. What it waits for (a GPU, another process, a "
                "server) isn't counted. Set energies='measured' for a GPU, or give numbers"
            )
    return watts_per_core * np.array(seconds) / CALL_SIZE


class _Times(NamedTuple):
    """Seconds of each call: CPU time of all threads and of this one, wall time."""

    process_s: Array
    thread_s: Array
    wall_s: Array


def _times(call: Call) -> _Times:
    rows: list[list[float]] = []
    start = time.monotonic()
    while len(rows) < 5 or time.monotonic() - start < 0.1:
        queued_s = _queued_s()
        before = time.process_time(), time.thread_time(), time.perf_counter()
        call()
        after = time.process_time(), time.thread_time(), time.perf_counter()
        # A busy machine lets a thread queue for its turn: that is no waiting for anything.
        rows.append(
            [*np.subtract(after, before)[:2], after[2] - before[2] - _queued_s() + queued_s]
        )
    return _Times(*np.transpose(rows))


def _queued_s() -> float:
    """Seconds that this thread was ready and had no core, as far as the system tells: Linux."""
    try:
        return 1e-9 * float(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0


def _other_threads_are_busy() -> bool:
    """Whether CPU time passes while this thread sleeps.

    Threads that have just worked for a model may spin for a while before they sleep too.
    """
    time.sleep(SPIN_S)
    before = time.process_time()
    time.sleep(IDLE_S)
    return time.process_time() - before > OTHERS * IDLE_S


def _warn(message: str) -> None:
    # by_cpu_time, _joules, _set_energies, _set_strategy, fit, and who called that
    warnings.warn(message, UserWarning, stacklevel=7)


def by_measurement(
    calls: Mapping[str, Call], watts_per_core: float, budget_s: float, meter: Meter | None = None
) -> tuple[Measurements, Array]:
    """Measured energies of calls of `CALL_SIZE` samples, and J per sample with those of a GPU.

    By CodeCarbon, unless there is another meter. A GPU is read as a whole, so what it draws while
    nothing runs is taken off.
    """
    # The calls are in memory already: a workload has nothing to load anew.
    workloads = [Workload(name, CALL_SIZE, partial(partial, c)) for name, c in calls.items()]
    try:
        meter = meter or _code_carbon(watts_per_core)
        with threadpool_limits(1):
            measurements = measure(workloads, meter, HALF_WIDTH, DRIFT, budget_s)
            energy_j = measurements.energy_j(list(calls), CALL_SIZE)
            rows = [measurements.at(name, CALL_SIZE) for name in calls]
            gpu_j = np.array([row.gpu_j for row in rows])
            if not gpu_j.any():
                return measurements, energy_j
            idle = meter.window(partial(time.sleep, IDLE_GPU_S))
    except MeasurementError as error:
        remedy = "Fit again on a quieter machine, or set energies='cpu_time' or numbers."
        raise MeasurementError(error.problem, remedy) from None
    idle_j = idle.gpu_j / idle.wall_s * np.array([row.wall_s for row in rows])
    return measurements, energy_j + np.maximum(gpu_j - idle_j, 0)


def _code_carbon(watts_per_core: float) -> Meter:
    from eco.energy.meter import CodeCarbonMeter

    # The country turns joules into g CO2e, which nobody reads here.
    return CodeCarbonMeter("FRA", watts_per_core, "auto")
