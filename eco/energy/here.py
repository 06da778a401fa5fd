"""A strategy on this machine in seconds: its energy modelled and realised, beside the last model's.

Models and strategies take turns in one run of the protocol, so that both figures are of the same
minute of the same machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from eco.energy.benchmark import EnergySettings, run_protocol
from eco.energy.measurement import Measurements
from eco.energy.metering import Load, compare_with_model
from eco.energy.protocol import Workload, cycle_batches
from eco.runtime.engine import Answers
from eco.strategies.strategy import Strategy

Array = NDArray[Any]

#: CPU seconds of a window: enough for the ticks of the tracker, and many fit into a minute.
WINDOW_S = 0.3


@dataclass(frozen=True)
class Here:
    """What was measured, and a row for each strategy as `metering.compare_with_model` makes it."""

    measurements: Measurements
    rows: list[dict[str, Any]]


def measure_here(
    models: Mapping[str, Callable[[], Callable[[Array], object]]],
    loaders: Mapping[str, Load],
    strategies: Mapping[str, Strategy],
    X: Array,
    y: Array,
    settings: EnergySettings,
) -> Here:
    """Measure models and strategies, all on the whole of `X` in one call.

    `models` and `loaders` load what runs, by name; the first strategy is always the last model.
    """
    size = len(X)
    workloads = [
        Workload(name, size, cycle_batches(load, X, size))
        for name, load in [*models.items(), *loaders.items()]
    ]
    measurements = run_protocol(workloads, settings, window_s=WINDOW_S)
    energies = {(model, size): measurements.at(model, size).energy_j for model in models}
    of_strategies = tuple(row for row in measurements.rows if row.name in loaders)
    answers: dict[str, Answers] = {name: load()(X) for name, load in loaders.items()}
    metered = replace(measurements, rows=of_strategies)
    rows = compare_with_model(metered, strategies, answers, y, energies)
    return Here(measurements, rows)
