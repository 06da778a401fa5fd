"""The energy of strategies while they run, beside what is modelled for them."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.energy.benchmark import EnergySettings, run_protocol
from eco.energy.measurement import Measurements
from eco.energy.protocol import Workload, cycle_batches
from eco.runtime.calls import CALL_SIZE
from eco.runtime.engine import Answers
from eco.strategies.names import as_key, strategy_name
from eco.strategies.strategy import Strategy

Array = NDArray[Any]
Load = Callable[[], Callable[[Array], Answers]]
LoadAny = Callable[[], Callable[[Array], object]]

#: Single samples whose latencies are taken, after some that warm up.
N_SINGLE = 2000
N_WARM_UP = 50


def as_trained(name: str) -> str:
    """What a strategy is called where its model runs in floats, as it was trained."""
    return strategy_name("as trained", name)


def metered_sizes(settings: EnergySettings) -> list[int]:
    """Batch sizes of strategies: one sample, the batch size of the study, and the largest."""
    sizes = {1, settings.batch_size, max(settings.batch_sizes)}
    return sorted(sizes & set(settings.batch_sizes))


def meter_strategies(
    loaders: Mapping[str, Load],
    X: Array,
    settings: EnergySettings,
    others: Mapping[str, LoadAny] | None = None,
) -> Measurements:
    """Measure strategies, by name what loads each, at the `metered_sizes`.

    And, in the same rounds, others that they are compared with, at the study's batch size.
    """
    sizes = {name: metered_sizes(settings) for name in loaders}
    sizes |= {name: [settings.batch_size] for name in others or {}}
    loads: dict[str, LoadAny] = {**loaders, **(others or {})}
    workloads = [
        Workload(name, size, cycle_batches(load, X, size))
        for name, load in loads.items()
        for size in sizes[name]
    ]
    return run_protocol(workloads, settings)


def energies_in_calls(
    measurements: Measurements, names: Collection[str], settings: EnergySettings
) -> dict[tuple[str, int], float]:
    """J per sample of models or routers, by name and batch size of the strategy they are part of.

    The engine splits larger batches into calls of `CALL_SIZE`: theirs, where these were measured.
    """
    limit = CALL_SIZE if CALL_SIZE in settings.batch_sizes else max(settings.batch_sizes)
    return {
        (name, size): measurements.at(name, min(size, limit)).energy_j
        for name in names
        for size in metered_sizes(settings)
    }


def latencies_ms(load: Load, X: Array) -> dict[str, float]:
    """Percentiles of the wall time of one answer to one sample, in ms."""
    run, seconds = load(), []
    for start in range(N_WARM_UP + N_SINGLE):
        sample = X[start % len(X)][None]
        begin = time.perf_counter()
        run(sample)
        seconds.append(time.perf_counter() - begin)
    levels = (50, 95, 99)
    values = 1e3 * np.percentile(seconds[N_WARM_UP:], levels)
    return {f"latency_p{p}_ms": float(ms) for p, ms in zip(levels, values, strict=True)}


def compare_with_model(
    metered: Measurements,
    strategies: Mapping[str, Strategy],
    answers: Mapping[str, Answers],
    y: Array,
    energies: Mapping[tuple[str, int], float],
) -> list[dict[str, Any]]:
    """What each strategy really took, beside what is modelled for it from `energies_in_calls`.

    Energies are shares of the first strategy, always the last model, and of what was metered of it
    `as_trained`, if anything. Rows are those of `Measurements.shares`, with ``samples_per_j``,
    ``share_of_trained``, ``accuracy``, settings, ``modelled_share`` and
    ``realised_over_modelled``, where there are any.
    """
    reference = next(iter(strategies))

    def modelled_j(name: str, batch_size: int) -> float:
        strategy, ran = strategies[name], answers[name].ran
        energy_j = np.array([energies[model, batch_size] for model in strategy.models])
        router_j = energies[strategy.router, batch_size] if strategy.router else 0.0
        return float((ran @ energy_j).mean()) + router_j

    rows = metered.shares(reference)
    if any(row.name == as_trained(reference) for row in metered.rows):
        of_trained = metered.shares(as_trained(reference), key="share_of_trained")
        rows = [one | other for one, other in zip(of_trained, rows, strict=True)]
    for row in rows:
        name, batch_size = row["name"], row["batch_size"]
        row["samples_per_j"] = 1 / row["energy_j"]
        if name in strategies:
            modelled = modelled_j(name, batch_size) / modelled_j(reference, batch_size)
            row["accuracy"] = float((answers[name].labels == y).mean())
            row |= strategies[name].to_json() | {"modelled_share": modelled}
            row["realised_over_modelled"] = row["energy_share"] / modelled
    return rows


def summarise(rows: list[dict[str, Any]], batch_size: int) -> dict[str, dict[str, Any]]:
    """The figures of each strategy at the study's batch size, under keys that stay."""
    shares = ("energy_share", "share_of_trained")
    ends = [f"{key}{end}" for key in shares for end in ("", "_low", "_high")]
    energies = ("energy_j", "energy_j_low", "energy_j_high", "samples_per_j")
    keys = ("accuracy", *energies, *ends, "realised_over_modelled", "throughput_per_s")
    return {
        as_key(row["name"]): {key: row[key] for key in keys if key in row}
        for row in rows
        if row["batch_size"] == batch_size
    }
