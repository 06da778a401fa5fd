"""Certify strategies: a bound on their harm that holds with a stated probability."""

import numpy as np

from eco import files, params
from eco.cascading import run_cascade
from eco.certification import (
    certified_up_to,
    harm_limit,
    resplit_violations,
    samples_needed,
)
from eco.confidence import confidence, correct
from eco.errors import reported
from eco.routing import POLICIES, run_policy
from eco.tuning import Setting, undominated

#: Bounds on the harm of the study over new splits, in points.
BOUNDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def main() -> None:
    """Write data/certified.json, metrics/certificate.json and the study over new splits."""
    settings = params.load()
    name, pool, signal = settings.data.name, settings.pool, settings.cascading.confidence
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    probe, goal = pool.index(settings.router.probe), settings.certification
    splits = ("tuning", "certification", "test")
    probabilities = {split: files.load_predictions(pool, split, name) for split in splits}
    right = {s: correct(p, files.load_labels(s, name)) for s, p in probabilities.items()}
    sure = {s: confidence(p, signal) for s, p in probabilities.items()}

    def unharmed(split: str, answered_by: np.ndarray) -> np.ndarray:
        return ~right[split][:, -1] | right[split][np.arange(len(answered_by)), answered_by]

    def cascade(setting: Setting, split: str) -> np.ndarray:
        return unharmed(split, run_cascade(sure[split], setting.chain, setting.thresholds)[0])

    # Each kind of strategy: rows to store, from safe to cheap, and a test of each on a split.
    found = [Setting.of_row(r, pool) for r in files.load_frontier("harm", signal, pool)[0]][::-1]
    # Always asking the last model harms nobody: where anything can be certified, that can.
    if found[0].chain != (len(pool) - 1,):
        found.insert(0, Setting((len(pool) - 1,), (0.0,), 1.0, float(energy_j[-1])))
    kinds = {"cascade": ([s.row(pool) for s in found], [(cascade, s) for s in found])}
    for kind, policies in POLICIES.items():
        scored = "price_router" if kind == "price_router" else "probe_router"
        read = None if kind == "price_router" else probe
        scores = {s: files.load_scores(scored, s, pool, len(right[s])) for s in splits}

        def routed(policy, split, scores=scores, read=read):
            picked, ran = run_policy(policy, scores[split], sure[split], energy_j, read)
            return unharmed(split, picked), ran

        tried = []
        for policy in policies:
            kept, ran = routed(policy, "tuning")
            cost = float((ran @ energy_j).mean())
            tried.append(Setting((), tuple(policy), float(kept.mean()), cost))
        order = undominated(tried)[::-1]
        rows = [dict(zip(("price", "threshold"), s.thresholds, strict=True)) for s in order]
        tests = [
            (lambda p, s, routed=routed: routed(p, s)[0], type(policies[0])(*s.thresholds))
            for s in order
        ]
        kinds[kind] = (rows, tests)

    certified, metrics, studies = {}, {}, []
    bounds = np.array(sorted({*BOUNDS, goal.max_harm})) / 100
    n_samples, at = len(right["certification"]), int(np.searchsorted(bounds, goal.max_harm / 100))
    for kind, (rows, tests) in kinds.items():
        harmed = {s: np.array([~test(setting, s) for test, setting in tests]) for s in splits[1:]}
        counts = harmed["certification"].sum(axis=1)
        reach = certified_up_to(counts, n_samples, bounds, goal.delta)
        n_certified = int(reach[at])
        if n_certified:
            last = n_certified - 1
            certified[kind] = rows[last]
            metrics[kind] = {
                "settings_certified": n_certified,
                "harm_on_certification": float(counts[last] / n_samples),
                "harm_on_test": float(harmed["test"][last].mean()),
            }
        else:
            # The safest setting harms nobody, or few: so many samples would have been enough.
            needed = samples_needed(goal.max_harm / 100, goal.delta)
            limit = 100 * harm_limit(int(counts[0]), n_samples, goal.delta)
            certified[kind] = {
                "none": f"harm of at most {goal.max_harm} points with probability "
                f"{1 - goal.delta:g} takes at least {needed:,} samples of which none is harmed; "
                f"the certification split has {n_samples:,} and {counts[0]} harmed under the "
                f"safest setting, which certifies {limit:.2g} points"
            }
            metrics[kind] = {"settings_certified": 0}
        study = resplit_violations(
            np.hstack([harmed["certification"], harmed["test"]]),
            n_samples,
            bounds,
            goal.delta,
            goal.resplits,
            settings.seed,
        )
        studies += [
            {"strategy": kind, "max_harm_points": 100 * bound, "violation_rate": rate}
            for bound, rate in zip(bounds.tolist(), study["violation_rate"].tolist(), strict=True)
        ]
        metrics[kind] |= {"violation_rate": float(study["violation_rate"][at])}
        print(
            f"{kind:14} {n_certified:4} of {len(rows)} settings certified to harm at most "
            f"{goal.max_harm} points; in {goal.resplits} new splits the certificate was wrong in "
            f"{metrics[kind]['violation_rate']:.1%}"
        )
    files.save_certified(signal, pool, certified)
    files.save_metrics("certificate", {"certificate": metrics | {"samples": n_samples}})
    files.save_rows("violations", [row | {"delta": goal.delta} for row in studies])


if __name__ == "__main__":
    with reported():
        main()
