"""Score what was found beforehand: presets, tuned and certified cascades, published rules."""

from typing import Any

import numpy as np

from eco import files, params, tuning
from eco.baselines import agreement
from eco.cascading import cascade_ran, run_cascade, shared_threshold_curve
from eco.confidence import confidence, correct, predictions
from eco.errors import TargetError, reported
from eco.intervals import Readings
from eco.scoring import (
    accuracy_gain,
    by_class,
    mean_accuracy_over_energy,
    operating_point,
    worst_class,
)

#: Losses of accuracy, in points below the last model, at which energies are compared.
LOSSES = (0.0, 0.5, 1.0, 2.0)
#: The share of the last model's accuracy that the field usually keeps.
RETENTION = 0.95
RULES = ("single tolerance", "budgeted search", "agreement voting")

#: Points of a drawn frontier; all of them are in data/frontier.json.
CURVE_POINTS = 120


def main() -> None:
    """Write metrics/frontier.json, and the rows of the plots that need no chosen thresholds."""
    settings = params.load()
    name, pool, signal = settings.data.name, settings.pool, settings.cascading.confidence
    chain, goal, batch_size = settings.cascading, settings.tuning, settings.energy.batch_size
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    readings = Readings(*files.load_readings(files.ENERGY, pool, batch_size, "benchmark"))
    probabilities, y = files.load_predictions(pool, "test", name), files.load_labels("test", name)
    right, labels = correct(probabilities, y), predictions(probabilities)
    sure, samples = confidence(probabilities, signal), np.arange(len(y))
    made_for = files.MadeFor(name, batch_size, signal, pool)
    class_names = files.load_class_names(name)
    points: list[dict[str, Any]] = []

    def run(setting: tuning.Setting) -> tuple[np.ndarray, np.ndarray]:
        if setting.thresholds:
            return run_cascade(sure, setting.chain, setting.thresholds)
        members = np.array(setting.chain)
        at = agreement(labels[:, members])
        return members[at], cascade_ran(at, members, len(pool))

    def score(strategy: str, name: str, setting: tuning.Setting) -> dict[str, Any]:
        by, ran = run(setting)
        point = operating_point(by, ran, right, energy_j, readings, pool)
        classes = by_class(right[samples, by], right, ran, energy_j, y, class_names)
        point["worst_class"] = worst_class(classes)
        listed = [pool[i] for i in setting.chain]
        told = {"models": " ".join(listed), "thresholds": " ".join(map(str, setting.thresholds))}
        points.append({"strategy": strategy, "name": name} | told | point)
        return point

    found: dict[str, list[tuning.Setting]] = {}
    for rule in ("accuracy", *RULES):
        rows, reference = files.load_frontier(rule, made_for)
        found[rule] = [tuning.Setting.of_row(row, pool) for row in rows]
    for preset, thresholds in chain.presets.items():
        if len(thresholds) != len(chain.active_models):
            print(f"{preset}: left out, {len(thresholds)} thresholds for other models")
            continue
        active = tuple(pool.index(model) for model in chain.active_models)
        score("preset", preset, tuning.Setting(active, tuple(thresholds), 0.0, 0.0))
    metrics: dict[str, Any] = {}
    limits = (goal.target, goal.max_accuracy_loss, goal.energy_budget)
    try:
        setting = tuning.for_target(found["accuracy"], *limits, reference, energy_j[-1])
        metrics["tuned"] = score("tuned", "tuned", setting)
    except TargetError as error:
        print(f"tuned: {error}")
    row = files.load_certified("cascade", made_for)
    if "none" in row:
        print(f"certified: {row['none']}")
    else:
        metrics["certified"] = score("certified", "certified", tuning.Setting.of_row(row, pool))
    kept = 100 * (1 - RETENTION) * reference
    for loss, label in [
        *((loss, f"loss_{loss:g}".replace(".", "_")) for loss in LOSSES),
        (kept, "retention_95"),
    ]:
        shown = f"tuned to lose {loss:g}" if loss != kept else "tuned to keep 95 %"
        point = score("tuned", shown, tuning.for_loss(found["accuracy"], loss, reference))
        figures = [key for key in point if key.startswith(("accuracy_loss", "energy_share"))]
        metrics[label] = {key: point[key] for key in figures}
        for rule in RULES:
            try:
                theirs = tuning.for_loss(found[rule], loss, reference)
            except TargetError:
                continue  # the rule can't be that accurate, which its missing point says
            score(rule, shown.replace("tuned", rule), theirs)
            # Our cascade for the budget that theirs needs, both as found on the tuning split.
            ours = tuning.for_budget(
                found["accuracy"], theirs.energy_j / energy_j[-1], energy_j[-1]
            )
            by, theirs_by = run(ours)[0], run(theirs)[0]
            gains = accuracy_gain(right[samples, by], right[samples, theirs_by])
            metrics.setdefault(f"against_{rule}".replace(" ", "_"), {})[label] = gains
    curves = {}
    for rule, frontier in found.items():
        ran = [run(setting) for setting in frontier]
        accuracy = np.array([right[samples, by].mean() for by, _ in ran])
        share = np.array([(r @ energy_j).mean() for _, r in ran]) / energy_j[-1]
        strategy = "tuned frontier" if rule == "accuracy" else rule
        drawn = np.linspace(0, len(ran) - 1, min(len(ran), CURVE_POINTS)).round().astype(int)
        pairs = zip(accuracy[drawn].tolist(), share[drawn].tolist(), strict=True)
        curves[strategy] = list(pairs)
        area = mean_accuracy_over_energy(share, accuracy)
        metrics.setdefault("mean_accuracy_over_log_energy_0_01_to_1", {})[rule] = area
    active = [pool.index(model) for model in chain.active_models]
    shared = shared_threshold_curve(sure[:, active], right[:, active], energy_j[active])
    curves["shared threshold"] = [(a, e / energy_j[-1]) for _, a, e in shared]
    files.save_metrics("frontier", {"frontier": metrics})
    files.save_rows("strategies", points)
    files.save_rows(
        "curves",
        [
            {"strategy": strategy, "name": "", "accuracy": accuracy, "energy_share": share}
            for strategy, curve in curves.items()
            for accuracy, share in curve
        ],
    )
    for point in points:
        print(
            f"{point['name']:28} accuracy {point['accuracy']:.2%} "
            f"({-point['accuracy_loss_points']:+.2f} points) at {point['energy_share']:.4f}"
        )


if __name__ == "__main__":
    with reported():
        main()
