"""Run the strategies for real, and measure what one answer of each costs in joules."""

import time
from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from eco import energy, files, params, strategies
from eco.engine import CALL_SIZE, Answers, Cascade, Model
from eco.errors import reported
from eco.inference import CALL_PATH, Session
from eco.strategies import Strategy

#: Single images whose latencies are taken.
SINGLE = 2000
CERTIFIED = ("cascade", "price_router", "probe_router", "probe_cascade")


def strategies_found(settings: params.Params) -> list[Strategy]:
    """Always the last model, the presets, and whatever was tuned or certified."""
    pool, chain = settings.pool, settings.cascading
    made_for = files.MadeFor(settings.data.name, settings.energy.batch_size, chain.confidence, pool)
    frontier, reference = files.load_frontier("accuracy", made_for)
    certified = {kind: files.load_certified(kind, made_for) for kind in CERTIFIED}
    return strategies.listed(
        pool, chain.active_models, chain.presets, frontier, reference, certified
    )


def latencies_ms(load: Any, X: np.ndarray) -> dict[str, float]:
    """Percentiles of the wall time of one answer to one image, in ms."""
    run, taken = load(), []
    for start in range(SINGLE + 50):
        one = X[start % len(X)][None]
        begin = time.perf_counter()
        run(one)
        taken.append(time.perf_counter() - begin)
    levels = (50, 95, 99)
    found = 1e3 * np.percentile(taken[50:], levels)  # the first ones warm up
    return {f"latency_p{p}_ms": float(ms) for p, ms in zip(levels, found, strict=True)}


def loaders(settings: params.Params, chosen: list[Strategy]) -> dict[str, Any]:
    """By name what loads each strategy; and the last model in floats, where it isn't so itself."""
    pool, config = settings.pool, settings.energy
    energy_j = files.load_energy(files.ENERGY, pool, config.batch_size, "benchmark")

    def session(name: str) -> Model:
        path = files.router_path(name) if name in files.ROUTERS else files.model_path(name)
        return Session(path, config.threads)

    signal, probe = settings.cascading.confidence, settings.router.probe
    found: dict[str, Any] = {
        s.name: partial(strategies.loaded, s, session, energy_j, pool, probe, signal)
        for s in chosen
    }
    if pool[-1] in settings.quantized:

        def in_floats() -> Cascade:
            return Cascade([Session(files.trained_path(pool[-1]), config.threads)], [0.0], signal)

        found[as_trained(pool)] = in_floats
    return found


def as_trained(pool: list[str]) -> str:
    """What the last model in floats is called, where the study runs it in integers."""
    return f"always {pool[-1]}, as trained"


def modelled(
    strategy: Strategy, ran: np.ndarray, batch_size: int, measured: Collection[int]
) -> float:
    """J per sample as the sum over the models that ran, and the router.

    A larger batch reaches them in calls of `CALL_SIZE`, so the energies are those of such calls
    where they were `measured`.
    """
    if CALL_SIZE in measured:
        batch_size = min(batch_size, CALL_SIZE)
    energy_j = files.load_energy(files.ENERGY, strategy.models, batch_size, "benchmark")
    joules = float((ran @ energy_j).mean())
    if strategy.router:
        asked = [strategy.router]
        joules += files.load_energy(files.ROUTER_ENERGY, asked, batch_size, "benchmark_router")[0]
    return joules


def beside_its_model(
    row: dict[str, Any], ran: list[tuple[Strategy, Answers]], measured: Collection[int]
) -> dict[str, Any]:
    """What was modelled of a metered strategy, as a share of the first, always the last model."""
    reference, *_ = ran
    strategy, answers = next(pair for pair in ran if pair[0].name == row["name"])
    joules = [
        modelled(s, a.ran, row["batch_size"], measured) for s, a in ((strategy, answers), reference)
    ]
    share = joules[0] / joules[1]
    return strategy.row() | {
        "setting": strategy.told(),
        "modelled_share": share,
        "realised_over_modelled": row["energy_share"] / share,
    }


def main() -> None:
    """Write data/metered.json, its rows beside what was modelled, and metrics/metered.json."""
    settings = params.load()
    config = settings.energy
    X, y = files.load_images("test", settings.data.name)
    chosen = strategies_found(settings)
    loads = loaders(settings, chosen)
    sizes = sorted({1, config.batch_size, max(config.batch_sizes)} & set(config.batch_sizes))
    workloads = [
        energy.Workload(name, size, energy.in_turn(load, X, size))
        for name, load in loads.items()
        for size in sizes
    ]
    meter = energy.CodeCarbonMeter(config.country, config.watts_per_core, config.mode)
    limits = (config.half_width, config.drift, config.budget_s)
    measured = energy.measure(workloads, meter, *limits, print)
    measured["provenance"] |= {"call_path": CALL_PATH, "threads": config.threads}
    files.save_json(files.METERED, measured)
    ran = [(strategy, loads[strategy.name]()(X)) for strategy in chosen]
    accuracy = {s.name: float((answers.labels == y).mean()) for s, answers in ran}
    waits = {name: latencies_ms(load, X) for name, load in loads.items()}
    rows = energy.shares(measured["measurements"], chosen[0].name, config.drift)
    if as_trained(settings.pool) in loads:
        # The same readings against the last model as it was before it was quantized.
        trained = energy.shares(
            measured["measurements"], as_trained(settings.pool), config.drift, "share_of_trained"
        )
        rows = [one | other for one, other in zip(trained, rows, strict=True)]
    for row in rows:
        if row["name"] in accuracy:
            row |= {"accuracy": accuracy[row["name"]]} | beside_its_model(
                row, ran, config.batch_sizes
            )
        if row["batch_size"] == 1:
            row |= waits[row["name"]]
    files.save_rows("metered", rows)
    files.save_metrics("metered", {"metered": summary(rows, config.batch_size)})
    print(energy.table(measured["measurements"]))
    for row in rows:
        told = f"{row['name']:28} {row['batch_size']:6}  share {row['energy_share']:.4f}"
        ratio = row.get("realised_over_modelled")
        print(told if ratio is None else f"{told}, realised / modelled {ratio:.3f}")


def summary(rows: list[dict[str, Any]], batch_size: int) -> dict[str, Any]:
    """The figures of each strategy at the study's batch size, under keys that stay."""
    kept = ("accuracy", "energy_share", "energy_share_low", "energy_share_high",
            "share_of_trained", "share_of_trained_low", "share_of_trained_high",
            "realised_over_modelled", "throughput_per_s")  # fmt: skip
    return {
        row["name"].replace(", ", "_").replace(" ", "_").replace(".", "_"): {
            key: row[key] for key in kept if key in row
        }
        for row in rows
        if row["batch_size"] == batch_size
    }


if __name__ == "__main__":
    with reported():
        main()
