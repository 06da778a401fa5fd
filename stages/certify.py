"""Certify strategies: a bound on their harm that holds with a stated probability."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from eco import files, params
from eco.cascading import run_cascade
from eco.certification import (
    certified_up_to,
    harm_limit,
    harms,
    resplit_violations,
    samples_needed,
)
from eco.confidence import confidence, correct
from eco.errors import reported
from eco.routing import POLICIES, run_policy
from eco.tuning import Setting, undominated

#: Bounds on the harm, in points, at which the study over new splits is made.
BOUNDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


class Outcome(NamedTuple):
    """What the models did on the samples of one split: (n_samples, n_models) each."""

    confidence: np.ndarray
    right: np.ndarray

    def harmed(self, answered_by: np.ndarray) -> np.ndarray:
        """Where the last model is right and the one that answered isn't."""
        right = self.right[np.arange(len(answered_by)), answered_by]
        return harms(right, self.right[:, -1])


class Family(NamedTuple):
    """Settings of one kind of strategy, from safe to cheap, and whom each harms on each split."""

    rows: Sequence[dict[str, Any]]
    harmed: dict[str, np.ndarray]


def cascades(made_for: files.MadeFor, splits: dict[str, Outcome], energy_j: np.ndarray) -> Family:
    """The tuned frontier of harm."""
    pool = made_for.pool
    rows, _ = files.load_frontier("harm", made_for)
    found = [Setting.of_row(row, pool) for row in rows][::-1]
    # Always asking the last model harms nobody: where anything can be certified, that can.
    if found[0].chain != (len(pool) - 1,):
        found.insert(0, Setting((len(pool) - 1,), (0.0,), 1.0, float(energy_j[-1])))

    def harmed(split: Outcome) -> np.ndarray:
        ran = (run_cascade(split.confidence, s.chain, s.thresholds) for s in found)
        return np.array([split.harmed(answered_by) for answered_by, _ in ran])

    return Family([s.row(pool) for s in found], {s: harmed(split) for s, split in splits.items()})


def taught_by_the_oracle(settings: params.Params, splits: dict[str, Outcome]) -> Family:
    """The original study's router, which has nothing to set."""

    def harmed(name: str) -> np.ndarray:
        n_samples = len(splits[name].right)
        by = files.load_choices(files.ROUTED, name, settings.pool, n_samples, "train_router")
        return splits[name].harmed(by)[None]

    return Family([{}], {name: harmed(name) for name in splits})


def policies(
    kind: str, settings: params.Params, splits: dict[str, Outcome], energy_j: np.ndarray
) -> Family:
    """The prices, and thresholds, of a router that no other one beats on the tuning split."""
    pool = settings.pool
    scored = "price_router" if kind == "price_router" else "probe_router"
    probe = None if kind == "price_router" else pool.index(settings.router.probe)
    scores = {s: files.load_scores(scored, s, pool, len(p.right)) for s, p in splits.items()}
    tried = []
    for policy in POLICIES[kind]:
        split = splits["tuning"]
        answered_by, ran = run_policy(policy, scores["tuning"], split.confidence, energy_j, probe)
        unharmed = float(1 - split.harmed(answered_by).mean())
        tried.append(Setting((), tuple(policy), unharmed, float((ran @ energy_j).mean())))
    found = [type(POLICIES[kind][0])(*s.thresholds) for s in undominated(tried)[::-1]]

    def harmed(name: str) -> np.ndarray:
        split = splits[name]
        ran = (run_policy(p, scores[name], split.confidence, energy_j, probe) for p in found)
        return np.array([split.harmed(answered_by) for answered_by, _ in ran])

    return Family([p._asdict() for p in found], {name: harmed(name) for name in splits})


def main() -> None:
    """Write data/certified.json, metrics/certificate.json and the study over new splits."""
    settings = params.load()
    name, pool, signal = settings.data.name, settings.pool, settings.cascading.confidence
    goal, seed = settings.certification, settings.seed
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    splits = {}
    for split in ("tuning", "certification", "test"):
        p = files.load_predictions(pool, split, name)
        splits[split] = Outcome(confidence(p, signal), correct(p, files.load_labels(split, name)))
    made_for = files.MadeFor(name, settings.energy.batch_size, signal, pool)
    families = {"cascade": cascades(made_for, splits, energy_j)}
    families["router"] = taught_by_the_oracle(settings, splits)
    families |= {kind: policies(kind, settings, splits, energy_j) for kind in POLICIES}

    n_samples = len(splits["certification"].right)
    bounds = np.array(sorted({*BOUNDS, goal.max_harm})) / 100
    at = int(np.searchsorted(bounds, goal.max_harm / 100))
    certified, metrics, rows = {}, {}, []
    for kind, family in families.items():
        counts = family.harmed["certification"].sum(axis=1)
        reached = certified_up_to(counts, n_samples, bounds, goal.delta)[at]
        fresh = np.hstack([family.harmed["certification"], family.harmed["test"]])
        study = resplit_violations(fresh, n_samples, bounds, goal.delta, goal.resplits, seed)
        rates = study.tolist()
        metrics[kind] = {"settings_certified": int(reached), "violation_rate": rates[at]}
        if reached:
            certified[kind] = family.rows[reached - 1]
            metrics[kind] |= {
                "harm_on_certification": float(counts[reached - 1] / n_samples),
                "harm_on_test": float(family.harmed["test"][reached - 1].mean()),
            }
        else:
            needed = samples_needed(goal.max_harm / 100, goal.delta)
            limit = np.ceil(1e4 * harm_limit(int(counts[0]), n_samples, goal.delta)) / 100
            certified[kind] = {
                "none": f"harm of at most {goal.max_harm:g} points with probability "
                f"{1 - goal.delta:.10g} takes at least {needed:,} samples of which none is "
                f"harmed; the certification split has {n_samples:,}, of which the safest setting "
                f"harms {counts[0]}, which certifies {limit:.2f} points"
            }
        rows += [
            {"strategy": kind, "max_harm_points": 100 * b, "violation_rate": r, "delta": goal.delta}
            for b, r in zip(bounds.tolist(), rates, strict=True)
        ]
        print(
            f"{kind:14} {reached:4} of {len(family.rows)} settings certified to harm at most "
            f"{goal.max_harm:g} points; over {goal.resplits} new splits the certificate was wrong "
            f"in {rates[at]:.1%}"
        )
    files.save_certified(made_for, certified)
    files.save_metrics("certificate", {"certificate": metrics | {"samples": n_samples}})
    files.save_rows("violations", rows)


if __name__ == "__main__":
    with reported():
        main()
