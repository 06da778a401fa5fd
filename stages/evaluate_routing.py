"""Score the routers: the model that each picked for each image, and what picking cost."""

from typing import Any

import numpy as np

from eco import files, params, tuning
from eco.cascading import run_cascade
from eco.confidence import confidence, correct
from eco.errors import TargetError, reported
from eco.routing import POLICIES, Policy, routed_ran, run_policy
from eco.scoring import Selector, accuracy_gain, operating_point


def main() -> None:
    """Write metrics/routing.json, and the routers' rows for the plots."""
    settings = params.load()
    name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
    files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark_router")
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    readings_j = files.load_readings(files.ENERGY, pool, batch_size, "benchmark")
    measured = (files.ROUTER_ENERGY, files.ROUTERS, batch_size, "benchmark_router")
    pairs = zip(files.load_energy(*measured), files.load_readings(*measured).T, strict=True)
    selectors = dict(zip(files.ROUTERS, [Selector(float(j), r) for j, r in pairs], strict=True))
    probabilities = {s: files.load_predictions(pool, s, name) for s in ("tuning", "test")}
    right = {s: correct(p, files.load_labels(s, name)) for s, p in probabilities.items()}
    sure = {s: confidence(p, settings.cascading.confidence) for s, p in probabilities.items()}
    rows, reference = files.load_frontier("accuracy", settings.cascading.confidence, pool)
    cascades = [tuning.Setting.of_row(row, pool) for row in rows]
    points: list[dict[str, Any]] = []

    def score(kind: str, answered_by: np.ndarray, ran: np.ndarray, selector: Selector) -> None:
        point = operating_point(
            answered_by, ran, right["test"], energy_j, readings_j, pool, selector
        )
        samples = np.arange(len(answered_by))
        cheaper = [s for s in cascades if s.energy_j <= point["energy_j"]] or cascades[:1]
        by = run_cascade(sure["test"], cheaper[-1].chain, cheaper[-1].thresholds)[0]
        gain = accuracy_gain(right["test"][samples, by], right["test"][samples, answered_by])
        against = {f"tuned_cascade_{key}": value for key, value in gain.items()}
        points.append({"strategy": "router", "name": kind} | point | against)

    answered_by = files.load_choices(files.ROUTED, "test", pool, len(right["test"]), "train_router")
    score("router", answered_by, routed_ran(answered_by, len(pool)), selectors["router"])
    chosen: dict[str, Policy] = {}
    for kind, policies in POLICIES.items():
        scored = "price_router" if kind == "price_router" else "probe_router"
        read = None if kind == "price_router" else pool.index(settings.router.probe)
        scores = {s: files.load_scores(scored, s, pool, len(right[s])) for s in right}
        tried = []
        for policy in policies:
            by, ran = run_policy(policy, scores["tuning"], sure["tuning"], energy_j, read)
            accuracy = right["tuning"][np.arange(len(by)), by].mean()
            cost = float((ran @ energy_j).mean()) + selectors[scored].energy_j
            tried.append(tuning.Setting((), tuple(policy), float(accuracy), cost))
        found = tuning.undominated(tried)
        goal, price = settings.tuning, settings.router.price
        limits = (goal.target, goal.max_accuracy_loss, goal.energy_budget)
        wanted = [("", Policy(price))] if isinstance(price, float) else []
        if not wanted:
            try:
                point = tuning.for_target(found, *limits, reference, energy_j[-1])
                wanted.append(("", Policy(*point.thresholds)))
            except TargetError as error:
                print(f"{kind}: {error}")
        certified = files.load_certified(kind, settings.cascading.confidence, pool)
        if "none" not in certified:
            wanted.append((", certified", Policy(**certified)))
        for suffix, policy in wanted:
            chosen[kind + suffix] = policy
            outcome = run_policy(policy, scores["test"], sure["test"], energy_j, read)
            score(kind + suffix, *outcome, selectors[scored])
    short = {point["name"].replace(", ", "_"): point for point in points}
    files.save_metrics(
        "routing",
        {"routing": short | {"energy_j": {k: s.energy_j for k, s in selectors.items()}}},
    )
    files.save_rows("routing", points)
    for point in points:
        policy = chosen.get(point["name"])
        print(
            f"{point['name']:24} accuracy {point['accuracy']:.2%} "
            f"({-point['accuracy_loss_points']:+.2f} points) at {point['energy_share']:.3f}"
            + (f", price {policy.price:.3g}, threshold {policy.threshold:g}" if policy else "")
        )


if __name__ == "__main__":
    with reported():
        main()
