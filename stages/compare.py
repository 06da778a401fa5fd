"""Put every model and every strategy side by side: metrics, plot rows and pictures."""

from typing import Any

import numpy as np

from eco import figures, files, params
from eco.confidence import correct
from eco.errors import reported
from eco.intervals import not_told_apart, strategy_interval
from eco.oracle import oracle
from eco.scoring import labelled, misordered, operating_point, random_mixing_curve


def main() -> None:
    """Write metrics/models.json, the rows of the joint plots, and the pictures."""
    settings = params.load()
    name, pool = settings.data.name, settings.pool
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    right = correct(files.load_predictions(pool, "test", name), files.load_labels("test", name))
    accuracy = right.mean(axis=0)
    readings_j = files.load_readings(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    oracles = {}
    for rule in ("last", "cheapest"):
        best = oracle(right, energy_j, rule)
        point = operating_point(best, energy_j[best], right, energy_j, pool)
        called = np.bincount(best, minlength=len(pool)) / len(best)
        oracles[rule] = point | strategy_interval(called, readings_j, point["energy_j"])
    disorder = misordered(energy_j, pool)
    ties = not_told_apart(readings_j, pool)
    provenance = files.load_provenance(files.ENERGY, "benchmark")

    points: list[dict[str, Any]] = [
        {"strategy": "model", "name": model, "accuracy": float(a), "energy_j": float(e)}
        | strategy_interval(alone, readings_j, float(e))
        for model, a, e, alone in zip(pool, accuracy, energy_j, np.eye(len(pool)), strict=True)
    ]
    scored = ["strategy", "name", "accuracy", "energy_j", "share", "accuracy_on_share"]
    strategies = [
        *files.load_rows("cascading", scored, "evaluate_cascading"),
        *files.load_rows("routing", scored, "evaluate_routing"),
        *(
            {"strategy": "oracle", "name": f"oracle: {rule}"} | point
            for rule, point in oracles.items()
        ),
    ]
    bounds = ("energy_j_low", "energy_j_high", "energy_share_low", "energy_share_high")
    keys = ("strategy", "name", "accuracy", "energy_j")
    points += [{key: point[key] for key in (*keys, *bounds)} for point in strategies]
    points += [
        {"strategy": "random mixing", "name": "", "accuracy": a, "energy_j": e}
        for e, a in random_mixing_curve(energy_j, accuracy)
    ]
    curve = files.load_rows("cascading_curve", ["threshold", *keys[2:]], "evaluate_cascading")
    points += [
        {"strategy": "shared threshold", "name": f"{row['threshold']:.2f}"}
        | {key: row[key] for key in keys[2:]}
        for row in curve
    ]
    points = labelled(
        point | {"energy_share": point["energy_j"] / energy_j[-1]} for point in points
    )
    shares = [
        {
            "point": point["name"],
            "model": model,
            "place": place,
            "share": point["share"][model],
            "accuracy": point["accuracy_on_share"][model],
        }
        for point in strategies
        for place, model in enumerate(pool)
    ]

    models = {
        point["name"]: {key: point[key] for key in (*keys[2:], "energy_share", *bounds)}
        for point in points
        if point["strategy"] == "model"
    }
    notes = {
        "energy_order": "; ".join(disorder) or "as declared",
        "energy_not_told_apart": "; ".join(ties) or "none",
        "energy_measured_on": provenance["machine"],
    }
    files.save_metrics("models", {"models": models} | notes)
    bound = {
        "accuracy": oracles["last"]["accuracy"],
        "none_correct_share": float(1 - right.any(axis=1).mean()),
        "energy_share": {rule: point["energy_share"] for rule, point in oracles.items()},
    }
    files.save_metrics("oracle", {"oracle": bound})
    files.save_rows("accuracy_energy", points)
    files.save_rows("shares", shares)
    figures.draw(
        files.picture_path("accuracy_energy"),
        "pareto",
        points,
        ("energy_share", f"energy per sample, share of {pool[-1]} alone (log scale)"),
        ("accuracy", "accuracy on test"),
        "Accuracy against energy: up and left is better",
        colour="strategy",
        legend=False,
    )
    figures.draw(
        files.picture_path("shares"),
        "shares",
        shares,
        ("share", "share of the test samples answered (in brackets: accuracy on them)"),
        ("point", ""),
        "Who answers",
    )
    figures.draw(
        files.picture_path("confusion"),
        "confusion_counts",
        files.load_rows("confusion", ["actual", "predicted", "samples"], "evaluate_cascading"),
        ("predicted", "label given"),
        ("actual", "true class"),
        "Confusion of the cascade at the chosen thresholds",
    )
    for point in points:
        if point["name"] and point["strategy"] != "shared threshold":
            print(
                f"{point['strategy']:8} {point['name']:13} accuracy {point['accuracy']:.2%}  "
                f"energy {point['energy_share']:.3f}"
            )
    if disorder:
        print(f"NOTE: the pool is not in order of energy: {notes['energy_order']}")
    if ties:
        print(f"NOTE: energies that can't be told apart: {notes['energy_not_told_apart']}")
    if provenance["machine"] != files.machine():
        print(f"NOTE: energies were measured on {provenance['machine']}")
        print(f"      this is {files.machine()}; to measure here: make measure")


if __name__ == "__main__":
    with reported():
        main()
