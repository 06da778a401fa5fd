"""The protocol: repeated, interleaved windows, each of them checked.

A window is a batch that is repeated until enough CPU time has passed, read by a meter. Workloads
take turns, round by round, so that a drift of the machine meets them all alike. A window of 0 J, or
one that disagrees with the CPU clock, is measured again; where a hardware counter is read a window
is compared with those of its own workload instead.
"""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eco.commands import command
from eco.energy.measurement import Measurement, Measurements
from eco.errors import MeasurementError
from eco.evaluation.intervals import trimmed_mean

Array = NDArray[Any]
Work = Callable[[], object]
logger = logging.getLogger(__name__)

#: CPU seconds that a window aims at: CodeCarbon reads the CPU time in ticks of 10 ms.
WINDOW_CPU_S = 0.75
#: A window whose two readings differ by more than this share, or by these many seconds of the
#: tracker's ticks, is measured again.
AGREEMENT = 0.02
TICKS_S = 0.015
#: A window of a counter that differs by more than this factor from the median of its workload is
#: measured again: a counter wraps, and counts other processes.
FAR = 1.5
#: Cores kept busy by others from which on a reading is flagged.
BUSY_NEIGHBOURS = 0.5
MIN_ROUNDS = 7
MAX_ROUNDS = 60
TRIES = 3


@dataclass(frozen=True)
class Window:
    """One reading.

    ``energy_j``, ``ram_j``, ``gpu_j``: J by the tracker; ``cpu_s``, ``wall_s``: seconds by the
    clocks; ``neighbours``: cores that other processes kept busy meanwhile, stolen time included.
    """

    energy_j: float
    ram_j: float
    gpu_j: float
    cpu_s: float
    wall_s: float
    neighbours: float


class Meter(Protocol):
    """What reads the energy of a piece of work."""

    watts_per_core: float | None
    """Watts that a CPU second is checked against; None where a hardware counter is read."""

    def calls_per_window(self, call: Work, window_s: float) -> int:
        """How many calls take `window_s` CPU seconds."""

    def window(self, work: Work) -> Window:
        """Run `work` once and read what it cost."""

    def provenance(self) -> dict[str, Any]:
        """Where the readings come from."""


@dataclass(frozen=True)
class Workload:
    """Something to measure: what `load` returns is called on one batch after another.

    Each round loads it again: where a model's memory lies can change its energy, which one loading
    never shows (Kalibera & Jones 2013, "Rigorous Benchmarking in Reasonable Time").
    """

    name: str
    batch_size: int
    load: Callable[[], Work]
    format: str | None = None


def cycle_batches(
    load: Callable[[], Callable[[Array], object]], X: Array, batch_size: int
) -> Callable[[], Work]:
    """The `load` of a workload: each call runs the next batch of `X`, repeated if need be."""
    enough = np.resize(X, (max(batch_size, len(X)), *X.shape[1:]))
    starts = range(0, len(enough) - batch_size + 1, batch_size)
    # Continues where the round before stopped: over the rounds all samples take part alike.
    batches = itertools.cycle([enough[start : start + batch_size] for start in starts])

    def load_run() -> Work:
        run = load()
        return lambda: run(next(batches))

    return load_run


@dataclass
class _Series:
    """The windows of one workload, one per round; None where every try was disturbed."""

    workload: Workload
    calls: int = 0
    windows: list[Window | None] = field(default_factory=list)
    rejected: int = 0

    @property
    def accepted(self) -> list[Window]:
        return [window for window in self.windows if window is not None]

    def add(self, window: Window, watts_per_core: float | None) -> bool:
        """Add the window of a round if it counts, and say so.

        The first windows of a counter have none to be compared with: one that later ones show to
        be far off is dropped.
        """
        windows = [*self.windows, window]
        far = np.zeros(len(windows), bool)
        if watts_per_core is None:
            far = _far(np.array([np.nan if w is None else w.energy_j for w in windows]))
        elif not _agrees(window, watts_per_core):
            return False
        if far[-1] or not window.energy_j > 0:
            return False
        self.rejected += int(far.sum())
        self.windows = [None if is_far else w for w, is_far in zip(windows, far, strict=True)]
        return True

    def per_sample(self, quantity: str) -> Array:
        """A field of `Window` per sample, (n_rounds,); NaN where no window counted."""
        nothing = float("nan")
        values = [nothing if w is None else getattr(w, quantity) for w in self.windows]
        return np.array(values) / (self.calls * self.workload.batch_size)

    def mean(self, quantity: str) -> float:
        return trimmed_mean(self.per_sample(quantity))[0]

    def relative_half_width(self) -> float:
        mean, half_width = trimmed_mean(self.per_sample("energy_j"))
        return half_width / mean if mean > 0 else float("inf")


def measure(
    workloads: Sequence[Workload],
    meter: Meter,
    half_width: float,
    drift: float,
    budget_s: float,
    window_s: float = WINDOW_CPU_S,
) -> Measurements:
    """Measure the joules per sample of each workload, with 95 % intervals.

    Rounds are added until every interval is narrow enough or the budget is spent, but at least
    `MIN_ROUNDS`. The estimate and its interval are those of `intervals.trimmed_mean`. Progress is
    logged between windows only.

    Parameters
    ----------
    workloads : sequence of Workload
    meter : Meter
    half_width : float
        Target half-width of each interval by the rounds, as a share of its mean.
    drift : float
        Half-width, as a share of the mean, by which later runs of the whole protocol differ from
        this one beyond their rounds. It widens every interval.
    budget_s : float
        Seconds after which no further round begins.
    window_s : float
        CPU seconds that a window aims at.

    Raises
    ------
    MeasurementError
        If the meter reads nothing, or its readings and the CPU clock disagree too often.
    """
    begin = time.monotonic()
    series = [_Series(workload) for workload in workloads]
    floor, reason = _run_rounds(series, meter, half_width, budget_s, window_s)
    rows = tuple(_measurement(one, meter, half_width, drift) for one in series)
    provenance = meter.provenance() | {
        "rounds": len(floor),
        "stopped_because": reason,
        "target_half_width": half_width,
        "drift": drift,
        "window_cpu_s": window_s,
        "seconds": round(time.monotonic() - begin, 1),
    }
    windows = [window for one in series for window in one.accepted]
    return Measurements(provenance | _disturbances(windows, floor), rows)


def _disturbances(windows: Sequence[Window], floor: Sequence[Window]) -> dict[str, float]:
    """What an empty window reads, and how busy other processes were."""
    floor_j = float(np.mean([window.energy_j for window in floor]))
    neighbours = [window.neighbours for window in windows]
    return {
        "floor_j_per_window": floor_j,
        "floor_share_of_window": floor_j / float(np.mean([w.energy_j for w in windows])),
        "neighbours_mean_cores": float(np.mean(neighbours)),
        "neighbours_max_cores": float(np.max(neighbours)),
    }


def _run_rounds(
    series: Sequence[_Series], meter: Meter, half_width: float, budget_s: float, window_s: float
) -> tuple[list[Window], str]:
    """Fill the series; return an empty window of each round, and why no more followed."""
    begin = time.monotonic()
    meter.window(lambda: None)  # the first task of a tracker takes seconds
    floor: list[Window] = []
    while True:
        floor.append(meter.window(lambda: None))
        rounds = len(floor)
        for one in series if rounds % 2 else reversed(series):
            _add_window(one, meter, window_s)
        widest = max(one.relative_half_width() for one in series)
        seconds = time.monotonic() - begin
        logger.info("round %2d: widest interval ±%.1f%%, %.0f s", rounds, 100 * widest, seconds)
        if rounds >= MIN_ROUNDS and widest <= half_width:
            return floor, "every interval is narrow enough"
        if rounds >= MIN_ROUNDS and (seconds > budget_s or rounds >= MAX_ROUNDS):
            return floor, "the budget is spent"


def _add_window(series: _Series, meter: Meter, window_s: float) -> None:
    """Read one window of a workload, again where it was disturbed."""
    call = series.workload.load()
    if not series.calls:
        series.calls = meter.calls_per_window(call, window_s)
    call()  # what has just been loaded warms up outside the window

    def work() -> None:
        for _ in range(series.calls):
            call()

    for _ in range(TRIES):
        window = meter.window(work)
        if not np.isfinite(window.energy_j) or window.energy_j < 0:
            raise MeasurementError(
                f"CodeCarbon read {window.energy_j} J for {series.workload.name}: energy can't be "
                "measured on this machine",
                "See energy.mode in params.yaml.",
            )
        if series.add(window, meter.watts_per_core):
            return
        series.rejected += 1
    series.windows.append(None)
    if len(series.windows) >= MIN_ROUNDS and len(series.accepted) < len(series.windows) / 2:
        raise _untrusted(series.workload.name, window, meter.watts_per_core)


def _untrusted(name: str, last: Window, watts_per_core: float | None) -> MeasurementError:
    """What is wrong where the windows of most rounds don't count, by the last of them."""
    if last.energy_j == 0:
        problem = f"CodeCarbon read no energy at all for {name} in more rounds than it read some"
        return MeasurementError(problem, "See energy.mode in params.yaml: load needs no counter.")
    if watts_per_core is None:
        problem = (
            f"the counter's readings for {name} differ in more rounds than they agree, the last "
            f"was {last.energy_j:.4g} J"
        )
    else:
        problem = (
            f"CodeCarbon and the CPU clock disagree on {name} in more rounds than they agree, "
            f"last by {last.energy_j:.4g} J to {last.cpu_s * watts_per_core:.4g} J"
        )
    return MeasurementError(problem, f"Measure again on a quieter machine: {command('measure')}")


def _far(readings_j: Array) -> Array:
    """Which windows, NaN for none, are far from the median of all; of fewer than three none is."""
    if np.count_nonzero(~np.isnan(readings_j)) < 3:
        return np.zeros(len(readings_j), bool)
    typical_j = np.nanmedian(readings_j)
    return (readings_j < typical_j / FAR) | (readings_j > typical_j * FAR)


def _agrees(window: Window, watts_per_core: float) -> bool:
    apart_s = abs(window.energy_j / watts_per_core - window.cpu_s)
    return apart_s <= max(AGREEMENT * window.cpu_s, TICKS_S)


def _measurement(series: _Series, meter: Meter, target: float, drift: float) -> Measurement:
    readings, cpu_s = series.per_sample("energy_j"), series.per_sample("cpu_s")
    energy_j, by_rounds = trimmed_mean(readings)
    half_width = float(np.hypot(by_rounds, drift * energy_j))
    neighbours = float(np.mean([window.neighbours for window in series.accepted]))
    flags = {
        "wide interval": by_rounds / energy_j > target,
        "disturbed windows": series.rejected > 0.2 * len(series.windows),
        "busy neighbours": neighbours > BUSY_NEIGHBOURS,
    }
    watts = meter.watts_per_core
    return Measurement(
        name=series.workload.name,
        format=series.workload.format,
        batch_size=series.workload.batch_size,
        energy_j=energy_j,
        energy_j_low=energy_j - half_width,
        energy_j_high=energy_j + half_width,
        half_width_by_rounds=by_rounds / energy_j,
        ram_j=series.mean("ram_j"),
        gpu_j=series.mean("gpu_j"),
        cpu_s=series.mean("cpu_s"),
        wall_s=series.mean("wall_s"),
        calls_per_window=series.calls,
        windows_rejected=series.rejected,
        neighbours_cores=neighbours,
        flags=tuple(flag for flag, raised in flags.items() if raised),
        readings_j=tuple(None if np.isnan(j) else float(j) for j in readings),
        tracker_over_clock=watts and float(np.nansum(readings) / np.nansum(cpu_s) / watts),
    )
