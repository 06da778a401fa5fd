"""Score the routers: the model that each picked for each image, and what picking cost."""

from typing import Any

import numpy as np

from eco import files, params, tuning
from eco.cascading import run_cascade
from eco.confidence import confidence, correct
from eco.errors import TargetError, reported
from eco.intervals import Readings
from eco.routing import POLICIES, Policy, routed_ran, run_policy
from eco.scoring import Selector, accuracy_gain, operating_point


def main() -> None:
    """Write metrics/routing.json, and the routers' rows for the plots."""
    settings = params.load()
    name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
    files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark_router")
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    readings = Readings(*files.load_readings(files.ENERGY, pool, batch_size, "benchmark"))
    measured = (files.ROUTER_ENERGY, files.ROUTERS, batch_size, "benchmark_router")
    pairs = zip(files.load_energy(*measured), files.load_readings(*measured)[0].T, strict=True)
    selectors = dict(zip(files.ROUTERS, [Selector(float(j), r) for j, r in pairs], strict=True))
    probabilities = {s: files.load_predictions(pool, s, name) for s in ("tuning", "test")}
    right = {s: correct(p, files.load_labels(s, name)) for s, p in probabilities.items()}
    sure = {s: confidence(p, settings.cascading.confidence) for s, p in probabilities.items()}
    made_for = files.MadeFor(name, batch_size, settings.cascading.confidence, pool)
    rows, reference = files.load_frontier("accuracy", made_for)
    cascades = [tuning.Setting.of_row(row, pool) for row in rows]
    points: list[dict[str, Any]] = []

    def on_tuning(
        answered_by: np.ndarray, ran: np.ndarray, selector: Selector
    ) -> tuple[float, float]:
        accuracy = right["tuning"][np.arange(len(answered_by)), answered_by].mean()
        return float(accuracy), float((ran @ energy_j).mean()) + selector.energy_j

    def score(
        kind: str,
        answered_by: np.ndarray,
        ran: np.ndarray,
        selector: Selector,
        tuning_j: float,
    ) -> None:
        point = operating_point(answered_by, ran, right["test"], energy_j, readings, pool, selector)
        against = {}
        within = [cascade for cascade in cascades if cascade.energy_j <= tuning_j]
        if within:  # the best cascade for the energy that the router needed on the tuning images
            by, cascade_ran = run_cascade(sure["test"], within[-1].chain, within[-1].thresholds)
            samples = np.arange(len(by))
            theirs = right["test"][samples, answered_by]
            gain = accuracy_gain(right["test"][samples, by], theirs)
            against = {f"tuned_cascade_{key}": value for key, value in gain.items()}
            share = float((cascade_ran @ energy_j).mean() / energy_j[-1])
            against["tuned_cascade_energy_share"] = share
        points.append({"strategy": "router", "name": kind} | point | against)

    routed = {}
    for split in right:
        by = files.load_choices(files.ROUTED, split, pool, len(right[split]), "train_router")
        routed[split] = by, routed_ran(by, len(pool))
    taught = selectors["router"]
    score("router", *routed["test"], taught, on_tuning(*routed["tuning"], taught)[1])
    chosen: dict[str, Policy] = {}
    for kind, policies in POLICIES.items():
        scored = "price_router" if kind == "price_router" else "probe_router"
        read = None if kind == "price_router" else pool.index(settings.router.probe)
        scores = {s: files.load_scores(scored, s, pool, len(right[s])) for s in right}
        tried = []
        for policy in policies:
            outcome = run_policy(policy, scores["tuning"], sure["tuning"], energy_j, read)
            reached = on_tuning(*outcome, selectors[scored])
            tried.append(tuning.Setting((), tuple(policy), *reached))
        found = tuning.undominated(tried)
        goal, price = settings.tuning, settings.router.price
        limits = (goal.target, goal.max_accuracy_loss, goal.energy_budget)
        wanted = []
        if price != "tuned":
            # A price says nothing of when to go on, so the policy that may has none to offer.
            wanted += [("", Policy(price))] if kind != "probe_cascade" else []
        else:
            try:
                point = tuning.for_target(found, *limits, reference, energy_j[-1])
                wanted.append(("", Policy(*point.thresholds)))
            except TargetError as error:
                print(f"{kind}: {error}")
        certified = files.load_certified(kind, made_for)
        if "none" not in certified:
            wanted.append((", certified", Policy(**certified)))
        for suffix, policy in wanted:
            chosen[kind + suffix] = policy
            there, here = (
                run_policy(policy, scores[s], sure[s], energy_j, read) for s in ("tuning", "test")
            )
            tuning_j = on_tuning(*there, selectors[scored])[1]
            score(kind + suffix, *here, selectors[scored], tuning_j)
    for point in points:
        point |= chosen[point["name"]]._asdict() if point["name"] in chosen else {}
    short = {point["name"].replace(", ", "_"): point for point in points}
    spent = {kind: selector.energy_j for kind, selector in selectors.items()}
    files.save_metrics("routing", {"routing": short, "router_energy_j": spent})
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
