"""Run the strategies for real, and measure what one answer of each costs in joules."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eco import energy, files, params, strategies
from eco.engine import Model
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


def main() -> None:
    """Write data/metered.json and metrics/metered.json."""
    settings = params.load()
    pool, config, probe = settings.pool, settings.energy, settings.router.probe
    X, y = files.load_images("test", settings.data.name)
    weighed_j = files.load_energy(files.ENERGY, pool, config.batch_size, "benchmark")
    sizes = sorted({1, config.batch_size, max(config.batch_sizes)} & set(config.batch_sizes))

    def path(name: str) -> Path:
        return files.router_path(name) if name in files.ROUTERS else files.model_path(name)

    def session(name: str) -> Model:
        return Session(path(name), config.threads)

    signal = settings.cascading.confidence
    chosen = strategies_found(settings)
    loads = {
        s.name: partial(strategies.loaded, s, session, weighed_j, pool, probe, signal)
        for s in chosen
    }
    as_trained = f"always {pool[-1]}, as trained"
    if pool[-1] in settings.quantized:
        loads[as_trained] = partial(Session, files.trained_path(pool[-1]), config.threads)
    meter = energy.CodeCarbonMeter(config.country, config.watts_per_core, config.mode)
    workloads = [
        energy.Workload(name, size, energy.in_turn(load, X, size))
        for name, load in loads.items()
        for size in sizes
    ]
    measured = energy.measure(
        workloads, meter, config.half_width, config.drift, config.budget_s, print
    )
    measured["provenance"] |= {"call_path": CALL_PATH, "threads": config.threads}
    files.save_json(files.METERED, measured)
    rows = energy.shares(measured["measurements"], chosen[0].name)
    answers = {s.name: loads[s.name]()(X) for s in chosen}
    by_latency = {name: latencies_ms(load, X) for name, load in loads.items()}
    for row in rows:
        row |= by_latency[row["name"]] if row["batch_size"] == 1 else {}
        for end in ("energy_share_low", "energy_share_high"):
            row[end] = row[end] if np.isfinite(row[end]) else None  # too few rounds count
        if row["name"] in answers:
            strategy = next(s for s in chosen if s.name == row["name"])
            given = answers[row["name"]]
            row |= {
                "models": " ".join(strategy.models),
                "thresholds": " ".join(map(str, strategy.thresholds)),
                "setting": strategy.told(),
            }
            row["accuracy"] = float((given.labels == y).mean())
            modelled_j = modelled(strategy, given.ran, row["batch_size"])
            reference_j = modelled(chosen[0], answers[chosen[0].name].ran, row["batch_size"])
            row["modelled_share"] = modelled_j / reference_j
            row["realised_over_modelled"] = row["energy_share"] / row["modelled_share"]
    files.save_rows("metered", rows)
    files.save_metrics("metered", {"metered": summary(rows, config.batch_size)})
    print(energy.table(measured["measurements"]))
    for row in rows:
        print(
            f"{row['name']:28} {row['batch_size']:6}  share {row['energy_share']:.4f}"
            + (f", realised / modelled {row['realised_over_modelled']:.3f}"
               if "realised_over_modelled" in row else "")
        )  # fmt: skip


def modelled(strategy: Strategy, ran: np.ndarray, batch_size: int) -> float:
    """J per sample as the sum over the models that ran, and the router."""
    energy_j = files.load_energy(files.ENERGY, strategy.models, batch_size, "benchmark")
    joules = float((ran @ energy_j).mean())
    if strategy.router:
        asked = [strategy.router]
        joules += files.load_energy(files.ROUTER_ENERGY, asked, batch_size, "benchmark_router")[0]
    return joules


def summary(rows: list[dict[str, Any]], batch_size: int) -> dict[str, Any]:
    """The figures of each strategy at the study's batch size, under keys that stay."""
    kept = ("accuracy", "energy_share", "energy_share_low", "energy_share_high",
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
