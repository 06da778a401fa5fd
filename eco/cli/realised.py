"""What CodeCarbon reads around a prediction, beside what is modelled for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from eco.workflow.schema import Params

if TYPE_CHECKING:
    from eco.energy.protocol import Window

T = TypeVar("T")

#: CPU seconds below which a reading is mostly ticks of the tracker, and its own work.
MIN_CPU_S = 0.5
#: Share by which the tracker and the CPU clock may differ in one window.
AGREEMENT = 0.05


@dataclass(frozen=True)
class Reading:
    """The window of one run, J of an empty one, and watts of a core; None by a counter."""

    window: "Window"
    floor_j: float
    watts_per_core: float | None


def meter_run(settings: Params, work: Callable[[], T]) -> tuple[T, Reading]:
    """Run `work` once inside a window of CodeCarbon; what it returns, and the reading."""
    from eco.energy.meter import CodeCarbonMeter

    energy, results = settings.energy, []
    meter = CodeCarbonMeter(energy.country, energy.watts_per_core, energy.mode)
    meter.window(lambda: None)  # the first one is slow
    floor_j = meter.window(lambda: None).energy_j
    window = meter.window(lambda: results.append(work()))
    return results[0], Reading(window, floor_j, meter.watts_per_core)


def realised_lines(reading: Reading, modelled_j: float, n: int) -> Iterator[str]:
    """Realised energy of `n` samples and its limits, as lines of a summary."""
    cpu_s, realised_j = reading.window.cpu_s, reading.window.energy_j
    if cpu_s < MIN_CPU_S:
        yield (
            f"realised           too short to measure: {cpu_s:.2g} s of CPU time, {MIN_CPU_S:g} s "
            "are needed. Answer more samples, or see eco demo"
        )
        return
    yield f"realised           {realised_j:.4g} J, {realised_j / n:.4g} J per sample"
    yield f"over modelled      {realised_j / modelled_j:.2f}; reading and writing files is in it"
    yield f"floor              {reading.floor_j:.2g} J, read around nothing"
    if reading.watts_per_core is None:
        yield "limits             a counter: other processes are counted too. One run: no interval"
        return
    clock_j = reading.watts_per_core * cpu_s
    apart = abs(realised_j / clock_j - 1)
    doubt = "" if apart <= AGREEMENT else f", {apart:.0%} apart: trust the clock"
    yield f"by the CPU clock   {clock_j:.4g} J{doubt}"
    yield (
        f"limits             no counter: CPU time at {reading.watts_per_core:g} W a core, without "
        "memory. One run: no interval"
    )
