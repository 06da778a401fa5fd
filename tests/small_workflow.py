"""A small workflow whose models are random linear ones, the later the more like the last."""

import contextlib
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from eco.energy.measurement import Measurement, Measurements
from eco.models.features import ImageFeatures
from eco.models.onnx.export import export_scores, export_softmax
from eco.runtime.session import Session
from eco.strategies.baselines import RULES
from eco.strategies.certification import MEASURES, NotCertified
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import frontier
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for
from tests.conftest import REPOSITORY

SHAPE, CLASSES = (4, 5), ["plain", 'with "quotes", and a comma', "third"]
N = 300
PRICE, THRESHOLD = 0.3, 0.9
PROVENANCE = {
    "machine": "another machine",
    "mode": "cpu_load",
    "watts_per_core": 4.0,
    "measured_on": "2026-01-02",
    "threads": 1,
    "call_path": "the same",
    "country": "FRA",
    "grid_g_co2e_per_kwh": 50.0,
    "seconds": 60.0,
}
FIGURES = {
    "accuracy": 0.75, "accuracy_low": 0.7, "accuracy_high": 0.8, "accuracy_loss_points": 5.0,
    "energy_share": 0.5, "energy_share_low": 0.4, "energy_share_high": 0.6,
    "energy_j": 2.0, "energy_j_low": 1.0, "energy_j_high": 3.0,
}  # fmt: skip


def row(family, name, strategy):
    parts = {"label": "", "share": {}, "accuracy_on_share": {}}
    return {"strategy": family, "name": name} | strategy.to_json() | FIGURES | parts


def two_models(pool, threshold=0.8):
    return Strategy("cascade", (pool[0], pool[-1]), (threshold, 0.0))


def routers(settings):
    pool, probe = tuple(settings.pool), settings.router.probe
    return {
        "price_router": Strategy("price_router", pool, price=PRICE),
        "probe_router": Strategy("probe_router", pool, price=PRICE, probe=probe),
        "probe_cascade": Strategy("probe_cascade", pool, (THRESHOLD,), PRICE, probe),
    }


def measurements(names, joules, size, flags=()):
    rows = (
        Measurement(n, size, j, j, j, (j, j, j), flags=flags)
        for n, j in zip(names, joules, strict=True)
    )
    return Measurements(PROVENANCE, tuple(rows))


def save_models(settings, rng, shape):
    """The models, and what they predict for random images; now and then the last one errs."""
    data, pool = settings.data.name, settings.pool
    splits = ("train", *artifacts.PREDICTED)
    X = {split: rng.integers(0, 256, (N, *shape)).astype(np.uint8) for split in splits}
    truth = rng.normal(size=(3, n_pixels := math.prod(shape)))
    for position, model in enumerate(pool):
        noise = (1 - position / (len(pool) - 1)) * rng.normal(size=truth.shape)
        graph = export_softmax(4 * (truth + noise), np.zeros(3), ImageFeatures(shape))
        artifacts.MODEL.save(graph, model=model)
        session = Session(artifacts.MODEL.path(model=model), 1)
        p = {split: session(images) for split, images in X.items()}
        held_out = {split: p[split] for split in artifacts.PREDICTED}
        artifacts.PREDICTIONS.save(held_out, model=model, dataset=data)
    y = {s: np.where(rng.random(N) < 0.1, 0, p[s].argmax(1)).astype(np.uint8) for s in splits}
    for split in splits:
        artifacts.SPLITS.save((X[split], y[split]), split=split, dataset=data)
    artifacts.SAMPLE.save((X["test"][:20], y["test"][:20]), dataset=data)
    labels = artifacts.Labels({split: y[split] for split in artifacts.PREDICTED}, CLASSES)
    artifacts.LABELS.save(labels, dataset=data)
    for router, n, features in (
        ("price_router", n_pixels, ImageFeatures(shape)),
        ("probe_router", 3, None),
    ):
        layer = rng.normal(size=(n, len(pool)))
        scorer = SimpleNamespace(coefs_=[layer], intercepts_=[np.linspace(0, 2, len(pool))])
        artifacts.ROUTER_MODEL.save(export_scores(scorer, features), router=router)


def save_results(settings):
    pool, size, key = settings.pool, settings.energy.batch_size, made_for(settings)
    outcomes = load_outcomes(settings, "tuning")
    points = frontier(outcomes, 100, 2)
    frontiers = dict.fromkeys(("accuracy", "harm", *RULES), points)
    voting = Strategy("agreement", tuple(pool))
    frontiers["agreement voting"] = [OperatingPoint(voting, 0.9, 1e-4)]
    found = artifacts.Frontiers(outcomes.reference_accuracy, frontiers)
    artifacts.FRONTIER.save(found, made_for=key)
    reasons = {of: NotCertified(of, 0.5, 0.05, N, 9) for of in MEASURES}
    certified = {kind: OperatingPoint(s, 0.99, 1e-5) for kind, s in routers(settings).items()}
    results = {
        of: certified | {"cascade": reason, "router": reason} for of, reason in reasons.items()
    }
    artifacts.CERTIFIED.save(results, made_for=key)
    artifacts.MODEL_METRICS.save({"models": dict.fromkeys(pool, FIGURES)})
    findings = {"energy_order": "fine", "saturated": "a is; fix it"}
    artifacts.DOCTOR_METRICS.save({"doctor": findings})
    artifacts.STRATEGY_ROWS.save(
        [row("preset", "mine", two_models(pool)), row("rule", "agreement voting", voting)]
    )
    artifacts.ROUTING_ROWS.save(
        [row("router", f"{kind}, certified", s) for kind, s in routers(settings).items()]
        + [row("router", "price_router", Strategy("price_router", tuple(pool), price=0.1))]
    )
    artifacts.CASCADING_ROWS.save([row("chosen", "chosen", two_models(pool, 0.123))])
    metered = FIGURES | {"name": "other", "batch_size": size, "energy_share": 0.123}
    metered |= {"energy_share_low": 0.1, "energy_share_high": 0.2} | two_models(pool).to_json()
    artifacts.METERED_ROWS.save([metered, metered | {"batch_size": size + 1}])


def build(folder, shape=SHAPE):
    """Write the settings of the repository, and files for them; return the settings."""
    with contextlib.chdir(folder):
        shutil.copy(REPOSITORY / "params.yaml", folder)
        Path("dvc.lock").touch()
        settings = params.load()
        pool, size = settings.pool, settings.energy.batch_size
        save_models(settings, np.random.default_rng(0), shape)
        joules = 1e-6 * 3.0 ** np.arange(len(pool))
        artifacts.ENERGY.save(measurements(pool, joules, size, ("wide interval",)))
        router_energy = measurements(artifacts.ROUTERS, [1e-7, 2e-7, 3e-7], size)
        artifacts.ROUTER_ENERGY.save(router_energy)
        save_results(settings)
    return settings
