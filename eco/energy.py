"""Joules per prediction, measured by CodeCarbon in repeated, interleaved, checked windows.

A window is one CodeCarbon task around a batch that is repeated until enough CPU time has passed.
Workloads take turns, round by round, so that a drift of the machine meets them all alike. Every
window is held against the process's own CPU clock. kWh exist in this module only.
"""

import itertools
import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from eco import files
from eco.errors import MeasurementError
from eco.inference import CALL_PATH, Session
from eco.intervals import trimmed_mean

Array = NDArray[Any]
Work = Callable[[], object]

J_PER_KWH = 3.6e6

#: CPU seconds that a window aims at: CodeCarbon reads the CPU time in ticks of 10 ms.
WINDOW_CPU_S = 0.75
#: Wall seconds that a window of many calls must stay under: past 1 s CodeCarbon's background
#: sampler wakes up and can count work that holds the GIL twice.
WINDOW_WALL_S = 0.9
#: A window whose two readings differ by more than this share, or by these many seconds of the
#: tracker's ticks, is measured again.
AGREEMENT = 0.02
TICKS_S = 0.015
#: Cores kept busy by others from which on a reading is flagged.
BUSY_NEIGHBOURS = 0.5
MIN_ROUNDS = 5
MAX_ROUNDS = 60
TRIES = 3


@dataclass(frozen=True)
class Window:
    """One reading: joules by the tracker, and what to hold against them."""

    energy_j: float
    ram_j: float
    gpu_j: float
    cpu_s: float
    wall_s: float
    neighbours: float
    """Cores that other processes kept busy meanwhile, stolen time included."""


class Meter(Protocol):
    """What reads the energy of a piece of work."""

    watts_per_core: float | None
    """Watts that a CPU second is checked against; None where a hardware counter is read."""

    def window(self, work: Work) -> Window:
        """Run `work` once and read what it cost."""
        ...

    def provenance(self) -> dict[str, Any]:
        """Where the readings come from."""
        ...


@dataclass(frozen=True)
class Workload:
    """Something to measure: what `load` gives is called on one batch after another.

    Each round loads it anew: where a model's memory happens to lie can change its energy, which
    the windows of one loading would never show (Kalibera & Jones 2013, "Rigorous Benchmarking in
    Reasonable Time"), so a round must be a new draw of that as well.
    """

    name: str
    batch_size: int
    load: Callable[[], Work]


@dataclass
class _Series:
    """The windows of one workload, one per round; None where no try was undisturbed."""

    workload: Workload
    repeats: int = 0
    windows: list[Window | None] = field(default_factory=list)
    rejected: int = 0

    @property
    def good(self) -> list[Window]:
        return [window for window in self.windows if window is not None]

    def per_sample(self, quantity: Callable[[Window], float]) -> Array:
        values = [np.nan if window is None else quantity(window) for window in self.windows]
        return np.array(values) / (self.repeats * self.workload.batch_size)


def benchmark(
    models: Mapping[str, tuple[Path, Array]],
    *,
    batch_sizes: Sequence[int],
    threads: int,
    mode: str,
    country: str,
    watts_per_core: float,
    half_width: float,
    drift: float,
    budget_s: float,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Joules per sample of each model at each batch size, by the call path of `eco.inference`.

    Parameters
    ----------
    models : mapping of str to (Path, array)
        By name an ONNX graph and the samples to run it on; repeated where a batch is larger.
    batch_sizes : sequence of int
        Images per call.
    threads : int
        Threads that one call may use.
    mode, country, watts_per_core
        See `CodeCarbonMeter`.
    half_width, drift, budget_s, announce
        See `measure`.

    Returns
    -------
    dict
        As `measure`, with the call path and the threads in its provenance.
    """
    meter = CodeCarbonMeter(country, watts_per_core, mode)
    workloads = []
    for name, (path, X) in models.items():
        for batch_size in batch_sizes:
            session = partial(Session, path, threads)
            workloads.append(Workload(name, batch_size, in_turn(session, X, batch_size)))
    measured = measure(workloads, meter, half_width, drift, budget_s, announce)
    measured["provenance"] |= {"call_path": CALL_PATH, "threads": threads}
    return measured


def in_turn(
    load: Callable[[], Callable[[Array], object]], X: Array, batch_size: int
) -> Callable[[], Work]:
    """A load of `Workload`: it loads what runs samples, and runs another batch at each call.

    Parameters
    ----------
    load : callable
        Gives what is called with a batch.
    X : array
        Samples, repeated where a batch is larger.
    batch_size : int
    """
    enough = np.resize(X, (max(batch_size, len(X)), *X.shape[1:]))
    starts = range(0, len(enough) - batch_size + 1, batch_size)
    # Goes on where the round before stopped: over the rounds all samples take part alike.
    batches = itertools.cycle([enough[start : start + batch_size] for start in starts])

    def loaded() -> Work:
        run = load()
        return lambda: run(next(batches))

    return loaded


def table(measurements: Sequence[Mapping[str, Any]]) -> str:
    """Measurements as lines of text: µJ per sample by name and batch size, with intervals."""
    lines = [f"{'':12} {'batch':>6} {'µJ/sample':>10}  95 % interval"]
    for row in measurements:
        energy, low, high = (
            1e6 * row[key] for key in ("energy_j", "energy_j_low", "energy_j_high")
        )
        lines.append(
            f"{row['name']:12} {row['batch_size']:6} {energy:10.4g}  [{low:.4g}, {high:.4g}] "
            f"{row['flags']}"
        )
    return "\n".join(lines)


def shares(
    measurements: Sequence[Mapping[str, Any]],
    reference: str,
    drift: float,
    key: str = "energy_share",
) -> list[dict[str, Any]]:
    """Energy of each workload as a share of the reference's at the same batch size.

    The two were read in the same rounds, so what slowed the machine in one of them cancels. The
    drift between runs doesn't: it differs from one workload to the next.

    Parameters
    ----------
    measurements : sequence of mapping
        As `measure` gives them.
    reference : str
        Name of a workload among them.
    drift : float
        As `measure` takes it; it widens the interval of every share but the reference's own.
    key : str
        What the share is called.

    Returns
    -------
    list of dict
        ``name``, ``batch_size``, ``energy_j`` and the share with their 95 % intervals under
        ``_low`` and ``_high`` (None where fewer than three rounds count for both),
        ``throughput_per_s`` and ``flags``.
    """
    theirs = {row["batch_size"]: row for row in measurements if row["name"] == reference}
    rows = []
    for row in measurements:
        against = theirs[row["batch_size"]]
        pairs = zip(row["readings_j"], against["readings_j"], strict=True)
        ratios = [a / b if a and b else np.nan for a, b in pairs]
        share, half_width = trimmed_mean(np.array(ratios))
        if row is not against:
            half_width = float(np.hypot(half_width, drift * share))
        kept = {field: row[field] for field in KEPT} | {"throughput_per_s": 1 / row["wall_s"]}
        ends = (share - half_width, share + half_width) if np.isfinite(half_width) else (None, None)
        rows.append(
            kept | {key: share} | dict(zip((f"{key}_low", f"{key}_high"), ends, strict=True))
        )
    return rows


#: What a row of shares keeps of the measurement.
KEPT = ("name", "batch_size", "energy_j", "energy_j_low", "energy_j_high", "flags")


def measure(
    workloads: Sequence[Workload],
    meter: Meter,
    half_width: float,
    drift: float,
    budget_s: float,
    announce: Callable[[str], None],
    window_s: float = WINDOW_CPU_S,
) -> dict[str, Any]:
    """Joules per sample of each workload, with a 95 % interval and the story of the readings.

    Rounds go on until every interval is narrow enough or the budget is spent, but never stop
    before `MIN_ROUNDS`. The estimate and its interval are those of `intervals.trimmed_mean`.

    Parameters
    ----------
    workloads : sequence of Workload
    meter : Meter
    half_width : float
        Target half-width of each interval by the rounds, as a share of its mean.
    drift : float
        What one run can't see: half-width, as a share of the mean, by which later runs of the
        whole protocol differ from it beyond their rounds. It widens every interval.
    budget_s : float
        Seconds after which no further round is begun.
    announce : callable
        Told how the measurement gets on, between windows only.
    window_s : float
        CPU seconds that a window aims at.

    Returns
    -------
    dict
        ``provenance`` and ``measurements``, one row per workload, energies in J per sample.

    Raises
    ------
    MeasurementError
        If the meter reads nothing, or its readings and the CPU clock disagree too often.
    """
    begin = time.monotonic()
    meter.window(lambda: None)  # the first task of a tracker takes seconds
    series = [_Series(workload) for workload in workloads]
    floor: list[Window] = []
    rounds = 0
    while True:
        rounds += 1
        floor.append(meter.window(lambda: None))
        for one in series if rounds % 2 else reversed(series):
            _read(one, meter, window_s)
        widest = max(_relative_half_width(one) for one in series)
        seconds = time.monotonic() - begin
        announce(f"round {rounds:2}: widest interval ±{widest:.1%}, {seconds:.0f} s")
        if rounds >= MIN_ROUNDS and widest <= half_width:
            reason = "every interval is narrow enough"
            break
        if rounds >= MIN_ROUNDS and (seconds > budget_s or rounds >= MAX_ROUNDS):
            reason = "the budget is spent"
            break
    rows = [_row(one, meter, half_width, drift) for one in series]
    windows = [window for one in series for window in one.good]
    floor_j = float(np.mean([window.energy_j for window in floor]))
    provenance = meter.provenance() | {
        "rounds": rounds,
        "stopped_because": reason,
        "target_half_width": half_width,
        "drift": drift,
        "window_cpu_s": window_s,
        "seconds": round(time.monotonic() - begin, 1),
        "floor_j_per_window": floor_j,
        "floor_share_of_window": floor_j / float(np.mean([window.energy_j for window in windows])),
        "neighbours_mean_cores": float(np.mean([window.neighbours for window in windows])),
        "neighbours_max_cores": float(np.max([window.neighbours for window in windows])),
    }
    return {"provenance": provenance, "measurements": rows}


def _repeats(call: Work, window_s: float) -> int:
    """How many calls make a window, after a warm-up."""
    call()
    calls, cpu, wall = 0, time.process_time(), time.perf_counter()
    while calls < 1 or time.perf_counter() - wall < 0.3 * window_s:
        call()
        calls += 1
    cpu_per_call = max((time.process_time() - cpu) / calls, 1e-9)
    wall_per_call = max((time.perf_counter() - wall) / calls, 1e-9)
    return max(1, int(min(window_s / cpu_per_call, WINDOW_WALL_S / wall_per_call)))


def _read(one: _Series, meter: Meter, window_s: float) -> None:
    call = one.workload.load()
    if not one.repeats:
        one.repeats = _repeats(call, window_s)
    call()  # what was loaded anew warms up outside the window

    def work() -> None:
        for _ in range(one.repeats):
            call()

    for _ in range(TRIES):
        window = meter.window(work)
        if not np.isfinite(window.energy_j) or window.energy_j < 0:
            raise MeasurementError(
                f"CodeCarbon read {window.energy_j} J for {one.workload.name}: energy can't be "
                "measured on this machine. See energy.mode in params.yaml."
            )
        if meter.watts_per_core is None or _agrees(window, meter.watts_per_core):
            one.windows.append(window)
            return
        one.rejected += 1
    one.windows.append(None)
    if len(one.windows) >= MIN_ROUNDS and len(one.good) < len(one.windows) / 2:
        clock_j = window.cpu_s * (meter.watts_per_core or 0)
        raise MeasurementError(
            f"CodeCarbon and the CPU clock disagree on {one.workload.name} in more rounds than "
            f"they agree, last by {window.energy_j:.4g} J to {clock_j:.4g} J. Measure again on a "
            "quieter machine: make measure"
        )


def _agrees(window: Window, watts_per_core: float) -> bool:
    apart_s = abs(window.energy_j / watts_per_core - window.cpu_s)
    return apart_s <= max(AGREEMENT * window.cpu_s, TICKS_S)


def _relative_half_width(one: _Series) -> float:
    mean, half_width = trimmed_mean(one.per_sample(lambda window: window.energy_j))
    return half_width / mean if mean > 0 else float("inf")


def _row(one: _Series, meter: Meter, target: float, drift: float) -> dict[str, Any]:
    readings = one.per_sample(lambda window: window.energy_j)
    energy, by_rounds = trimmed_mean(readings)
    half_width = float(np.hypot(by_rounds, drift * energy))
    if not energy > 0:
        raise MeasurementError(
            f"CodeCarbon read no energy at all for {one.workload.name}. See energy.mode in "
            "params.yaml."
        )
    cpu_s = one.per_sample(lambda window: window.cpu_s)
    neighbours = float(np.mean([window.neighbours for window in one.good]))
    flags = {
        "wide interval": by_rounds / energy > target,
        "disturbed windows": one.rejected > 0.2 * len(one.windows),
        "busy neighbours": neighbours > BUSY_NEIGHBOURS,
    }
    row: dict[str, Any] = {
        "name": one.workload.name,
        "batch_size": one.workload.batch_size,
        "energy_j": energy,
        "energy_j_low": energy - half_width,
        "energy_j_high": energy + half_width,
        "half_width_by_rounds": by_rounds / energy,
        "ram_j": trimmed_mean(one.per_sample(lambda window: window.ram_j))[0],
        "gpu_j": trimmed_mean(one.per_sample(lambda window: window.gpu_j))[0],
        "cpu_s": trimmed_mean(cpu_s)[0],
        "wall_s": trimmed_mean(one.per_sample(lambda window: window.wall_s))[0],
        "calls_per_window": one.repeats,
        "windows_rejected": one.rejected,
        "neighbours_cores": neighbours,
        "flags": ", ".join(flag for flag, raised in flags.items() if raised),
        "readings_j": [None if np.isnan(reading) else float(reading) for reading in readings],
    }
    if meter.watts_per_core is not None:
        row["tracker_over_clock"] = float(np.nansum(readings) / np.nansum(cpu_s)) / (
            meter.watts_per_core
        )
    return row


class CodeCarbonMeter:
    """Reads energy with one CodeCarbon tracker whose every option is given here.

    Nothing is taken from the user's home, the working folder or the environment. Without a
    hardware counter only the process's own work is billed (``tracking_mode="process"``); RAPL
    counts the whole processor, neighbours included. CPU energy is the figure for decisions:
    without a counter CodeCarbon's RAM power is a constant, that is, wall time.

    Parameters
    ----------
    country : str
        ISO 3166 alpha-3 code of the country whose grid is used.
    watts_per_core : float
        Watts of a busy core where there is no hardware counter.
    mode : {"auto", "rapl", "load"}
        Where CPU energy comes from.

    Raises
    ------
    MeasurementError
        If the country is unknown, or `mode` can't be had on this machine.
    """

    def __init__(self, country: str, watts_per_core: float, mode: str) -> None:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.core.cpu import is_rapl_available
        from codecarbon.input import DataSource

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        grid = DataSource().get_global_energy_mix_data()
        if country not in grid:
            raise MeasurementError(
                f"params.yaml: energy.country must be one of CodeCarbon's {len(grid)} ISO codes, "
                f"such as FRA, USA or IND; got {country!r}."
            )
        rapl = mode != "load" and is_rapl_available()
        if mode == "rapl" and not rapl:
            raise MeasurementError(
                "params.yaml: energy.mode is rapl, but this machine has no readable counters "
                "under /sys/class/powercap. Make them readable, or set energy.mode to load."
            )
        self._cores = psutil.cpu_count() or 1
        self.watts_per_core = None if rapl else watts_per_core
        self._grid_g_per_kwh = float(grid[country]["carbon_intensity"])
        self._country = country
        self._tracker = OfflineEmissionsTracker(
            country_iso_code=country,
            country_2letter_iso_code=None,
            region=None,
            cloud_provider=None,
            cloud_region=None,
            tracking_mode="process",
            force_cpu_power=None if rapl else watts_per_core * self._cores,
            force_ram_power=None,
            force_mode_cpu_load=not rapl,
            force_carbon_intensity_g_co2e_kwh=None,
            electricitymaps_api_token=None,
            rapl_include_dram=False,
            rapl_prefer_psys=False,
            pue=1.0,
            wue=0.0,
            gpu_ids=None,
            measure_power_secs=3600,
            api_call_interval=-1,
            api_endpoint=None,
            api_key=None,
            emissions_endpoint=None,
            experiment_id=None,
            experiment_name=None,
            project_name="ecoinference",
            output_dir=".",
            output_file="emissions.csv",
            output_methods=[],
            output_handlers=[],
            logging_logger=None,
            logger_preamble="",
            log_level="critical",
            on_csv_write="append",
            prometheus_url=None,
            metadata=None,
            allow_multiple_runs=True,
        )

    def window(self, work: Work) -> Window:
        """Run `work` once inside a task of the tracker."""
        process = psutil.Process()
        self._tracker.start_task()
        busy, own = _busy_s(), _own_s(process)
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
        task = self._tracker.stop_task()
        others = (_busy_s() - busy) - (_own_s(process) - own)
        if task is None or task.cpu_energy is None:
            raise MeasurementError(
                "CodeCarbon gave no reading. Another tracker may hold its lock; stop it and "
                "measure again: make measure"
            )
        return Window(
            energy_j=task.cpu_energy * J_PER_KWH,
            ram_j=task.ram_energy * J_PER_KWH,
            gpu_j=task.gpu_energy * J_PER_KWH,
            cpu_s=cpu_s,
            wall_s=wall_s,
            neighbours=max(0.0, others / max(wall_s, 1e-3)),
        )

    def provenance(self) -> dict[str, Any]:
        """Mode, machine, versions and grid behind every reading of this meter."""
        import codecarbon

        hardware = self._tracker.get_detected_hardware()
        modes = [getattr(part, "_mode", None) for part in self._tracker._hardware]
        return {
            "mode": next((mode for mode in modes if mode), "unknown"),
            "figure": "cpu",
            "watts_per_core": self.watts_per_core,
            "cpu_model": hardware["cpu_model"],
            "cores": self._cores,
            "gpu_model": hardware["gpu_model"] or "none",
            "machine": files.machine(),
            "measured_on": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "codecarbon": codecarbon.__version__,
            "country": self._country,
            "grid_g_co2e_per_kwh": self._grid_g_per_kwh,
        }


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "steal", 0.0))


def _own_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
