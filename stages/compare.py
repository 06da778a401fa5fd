"""Put every model and every strategy side by side: metrics, plot rows and pictures."""

from typing import Any

import numpy as np

from eco import doctor, figures, files, params
from eco.calibration import calibration_error
from eco.confidence import confidence, correct
from eco.errors import reported
from eco.intervals import Readings, not_told_apart
from eco.oracle import oracle
from eco.scoring import labelled, operating_point, random_mixing_curve

SHOWN = ("strategy", "name", "accuracy", "energy_j", "energy_share")
BOUNDS = tuple(f"{key}_{end}" for key in SHOWN[2:] for end in ("low", "high"))


def main() -> None:
    """Write metrics/models.json, oracle.json and doctor.json, the joint plots and pictures."""
    settings = params.load()
    name, pool = settings.data.name, settings.pool
    batch_size, n_models = settings.energy.batch_size, len(settings.pool)
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    readings = Readings(*files.load_readings(files.ENERGY, pool, batch_size, "benchmark"))
    probabilities = files.load_predictions(pool, "test", name)
    right = correct(probabilities, files.load_labels("test", name))

    def alone(strategy: str, name: str, answered_by: np.ndarray) -> dict[str, Any]:
        ran = answered_by[:, None] == np.arange(n_models)
        point = operating_point(answered_by, ran, right, energy_j, readings, pool)
        return {"strategy": strategy, "name": name} | point

    models = [alone("model", m, np.full(len(right), i)) for i, m in enumerate(pool)]
    best = {rule: oracle(right, energy_j, rule) for rule in ("last", "cheapest")}
    oracles = {rule: alone("oracle", f"oracle: {rule}", by) for rule, by in best.items()}
    scored = [*SHOWN, *BOUNDS, "share", "accuracy_on_share"]
    strategies = [
        *files.load_rows("strategies", scored, "evaluate_frontier"),
        *files.load_rows("routing", scored, "evaluate_routing"),
        *oracles.values(),
    ]
    drawn = [p for p in strategies if p["strategy"] in ("preset", "tuned", "certified", "router")]
    points = labelled(
        {key: point[key] for key in (*SHOWN, *BOUNDS)}
        for point in [*models, *drawn, *oracles.values()]
    )
    for point in points:  # what stands close together is told by its shape, or has no room
        point["label"] = point["label"].replace("tuned to ", "").removeprefix("oracle: ")
        point["label"] = "" if point["name"].endswith(", certified") else point["label"]
    points += [
        {"strategy": "random mixing", "name": "", "accuracy": a, "energy_share": e / energy_j[-1]}
        for e, a in random_mixing_curve(energy_j, right.mean(axis=0))
    ]
    points += files.load_rows(
        "curves", ["strategy", "accuracy", "energy_share"], "evaluate_frontier"
    )
    shares = [
        {
            "point": point["name"],
            "model": model,
            "place": place,
            "share": point["share"][model],
            "accuracy": point["accuracy_on_share"][model],
        }
        for point in [*drawn, *oracles.values()]
        for place, model in enumerate(pool)
    ]
    ties = not_told_apart(readings, pool)
    # What the doctor says is advice, so it looks at the images that choices are made on.
    tuned_on = files.load_predictions(pool, "tuning", name)
    right_there = correct(tuned_on, files.load_labels("tuning", name))
    largest = confidence(tuned_on, "max_probability")
    errors = {m: calibration_error(largest[:, i], right_there[:, i]) for i, m in enumerate(pool)}
    findings = doctor.examine(
        confidence(tuned_on, settings.cascading.confidence),
        right_there,
        energy_j,
        oracle(right_there, energy_j, settings.oracle.none_correct),
        errors,
        settings.calibration.method,
        ties,
        pool,
    )
    provenance = files.load_provenance(files.ENERGY, "benchmark")
    notes = {
        "energy_not_told_apart": "; ".join(ties) or "none",
        "energy_measured_on": provenance["machine"],
    }
    kept = (*SHOWN[2:], *BOUNDS)
    files.save_metrics(
        "models", {"models": {p["name"]: {k: p[k] for k in kept} for p in models}} | notes
    )
    bound = {
        "accuracy": oracles["last"]["accuracy"],
        "none_correct_share": float(1 - right.any(axis=1).mean()),
        "energy_share": {rule: point["energy_share"] for rule, point in oracles.items()},
    }
    files.save_metrics("oracle", {"oracle": bound})
    files.save_metrics("doctor", {"doctor": findings})
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
        lines="curves",
    )
    figures.draw(
        files.picture_path("shares"),
        "shares",
        shares,
        ("share", "share of the test samples answered (in brackets: accuracy on them)"),
        ("point", ""),
        "Who answers",
    )
    for point in [*models, *oracles.values()]:
        print(
            f"{point['strategy']:8} {point['name']:16} accuracy {point['accuracy']:.2%}  "
            f"energy {point['energy_share']:.4f}"
        )
    for check, finding in findings.items():
        print(f"doctor, {check}: {finding}")
    if ties:
        print(f"NOTE: energies that can't be told apart: {notes['energy_not_told_apart']}")
    if provenance["machine"] != files.machine():
        print(f"NOTE: energies were measured on {provenance['machine']}")
        print(f"      this is {files.machine()}; to measure here: make measure")


if __name__ == "__main__":
    with reported():
        main()
