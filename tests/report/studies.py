"""A study of random models, with all that is optional left out."""

import numpy as np

from eco.report.study import Study
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.workflow import params
from eco.workflow.artifacts import Frontiers
from tests.conftest import REPOSITORY

NASTY = '</script><img src=x onerror="alert(1)">'


def cascade(models=("m0", "m1"), thresholds=(0.9, 0.0)):
    return Strategy("cascade", tuple(models), tuple(thresholds))


def strategy_row(name="balanced", family="preset", strategy=None):
    """A row of a strategy that saves three quarters and loses a point."""
    figures = {"accuracy": 0.9, "accuracy_loss_points": 1.0, "energy_share": 0.25}
    bounds = {f"{key}_{end}": v for key, v in figures.items() for end in ("low", "high")}
    named = {"strategy": family, "name": name}
    return named | (strategy or cascade()).to_json() | figures | bounds


def metered_row(name="balanced", strategy=None, batch_size=32):
    return {
        "name": name, "batch_size": batch_size, "flags": [],
        "energy_j": 2e-6, "energy_j_low": 1e-6, "energy_j_high": 3e-6,
        "energy_share": 0.4, "energy_share_low": 0.35, "energy_share_high": 0.45,
        "realised_over_modelled": 1.6, "throughput_per_s": 12345.6,
        "latency_p50_ms": 1.0, "latency_p95_ms": 2.0, "latency_p99_ms": 3.0,
    } | (strategy or cascade()).to_json()  # fmt: skip


def outcomes(n_models=2, n_classes=2, n_samples=90):
    random = np.random.default_rng(n_models)
    probabilities = random.dirichlet(np.full(n_classes, 0.3), (n_samples, n_models))
    return Outcomes.from_probabilities(
        probabilities.round(4).astype(np.float32),
        random.integers(n_classes, size=n_samples),
        np.geomspace(1e-6, 1e-3, n_models),
        [f"m{i}" for i in range(n_models)],
    )


def small_study(n_models=2, dataset="digits", certified=None, **rows):
    """A study of `outcomes`, with the given rows."""
    result = outcomes(n_models)
    pool, energy_j = result.pool, result.energy_j
    settings = params.load(REPOSITORY / "params.yaml")
    section = next(iter(settings.models.values()))
    settings = settings.model_copy(
        update={
            "pool": list(pool),
            "models": dict.fromkeys(pool, section),
            "data": settings.data.model_copy(update={"name": dataset}),
        }
    )
    points = [
        {"strategy": "model", "name": m, "label": m, "accuracy": 0.5, "energy_share": e / 1e-3}
        for m, e in zip(pool, energy_j, strict=True)
    ]
    measured = [
        {"name": model, "batch_size": size, "flags": ["wide interval"]}
        | dict.fromkeys(["energy_j", "energy_j_low", "energy_j_high"], e)
        for model, e in zip(pool, energy_j, strict=True)
        for size in (1, 256)
    ]
    empty = ("strategies", "routing", "metered", "shares", "reliability", "violations")
    last = OperatingPoint(always(pool[-1]), 0.5, float(energy_j[-1]))
    values = {key: [] for key in empty} | {
        "points": points, "measured": measured, "footprint": {}, "doctor": {},
        "model_energy": {"machine": "one"}, "router_energy": {"machine": "one"},
        "frontiers": Frontiers(0.5, {"accuracy": [last]}),
        "certified": {"cascade": certified or last},
    }  # fmt: skip
    return Study(settings, **values | rows)
