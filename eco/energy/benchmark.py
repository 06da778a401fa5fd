"""Joules per sample of ONNX models, by the call path of `eco.runtime.session`."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from eco.energy.machine import fingerprint
from eco.energy.measurement import Measurements
from eco.energy.meter import CodeCarbonMeter
from eco.energy.protocol import Workload, cycle_batches, measure
from eco.runtime.session import CALL_PATH, Session

Array = NDArray[Any]


class EnergySettings(Protocol):
    """What the section ``energy`` of params.yaml sets."""

    batch_size: int
    batch_sizes: list[int]
    threads: int
    mode: Literal["auto", "rapl", "load"]
    country: str
    watts_per_core: float
    half_width: float
    drift: float
    window_s: float
    budget_s: float


def run_protocol(
    workloads: Sequence[Workload],
    settings: EnergySettings,
    call_path: str = CALL_PATH,
    window_s: float | None = None,
) -> Measurements:
    """Measure workloads that `call_path` runs, with CodeCarbon, as `protocol.measure` does."""
    meter = CodeCarbonMeter(settings.country, settings.watts_per_core, settings.mode)
    limits = settings.half_width, settings.drift, settings.budget_s
    measurements = measure(workloads, meter, *limits, window_s or settings.window_s)
    return measurements.add_provenance(
        call_path=call_path, threads=settings.threads, fingerprint=fingerprint()
    )


def benchmark(models: Mapping[str, tuple[Path, Array]], settings: EnergySettings) -> Measurements:
    """Measure models, by name an ONNX graph and the samples to run it on, at each batch size."""
    workloads = [
        Workload(name, size, cycle_batches(partial(Session, path, settings.threads), X, size))
        for name, (path, X) in models.items()
        for size in settings.batch_sizes
    ]
    return run_protocol(workloads, settings)
