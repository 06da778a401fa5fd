"""Score the cascade at the chosen thresholds."""

import numpy as np

from eco import files, params, tuning
from eco.cascading import run_cascade
from eco.confidence import confidence, correct, predictions
from eco.errors import TargetError, reported
from eco.footprint import bill
from eco.intervals import Readings
from eco.scoring import by_class, confusion_rows, operating_point, worst_class


def chosen(settings: params.Params, energy_j: np.ndarray) -> tuple[list[str], list[float]]:
    """Models and thresholds that params.yaml asks for: given, of a preset, tuned or certified."""
    chain, pool, goal = settings.cascading, settings.pool, settings.tuning
    batch_size = settings.energy.batch_size
    made_for = files.MadeFor(settings.data.name, batch_size, chain.confidence, pool)
    if chain.thresholds == "certified":
        row = files.load_certified("cascade", made_for)
        if "none" in row:
            raise TargetError(
                f"no cascade is certified: {row['none']}. Raise certification.max_harm or "
                "data.shares.certification in params.yaml."
            )
        return row["models"], row["thresholds"]
    if chain.thresholds == "tuned":
        rows, reference = files.load_frontier("accuracy", made_for)
        found = [tuning.Setting.of_row(row, pool) for row in rows]
        limits = (goal.target, goal.max_accuracy_loss, goal.energy_budget)
        point = tuning.for_target(found, *limits, reference, energy_j[-1])
        return point.row(pool)["models"], list(point.thresholds)
    return chain.active_models, chain.chosen_thresholds


def main() -> None:
    """Write metrics/cascading.json, and the rows of the chosen cascade's plots."""
    settings = params.load()
    name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    readings = Readings(*files.load_readings(files.ENERGY, pool, batch_size, "benchmark"))
    models, thresholds = chosen(settings, energy_j)
    active = [pool.index(model) for model in models]
    probabilities, y = files.load_predictions(pool, "test", name), files.load_labels("test", name)
    right, labels = correct(probabilities, y), predictions(probabilities)
    sure = confidence(probabilities, settings.cascading.confidence)
    answered_by, ran = run_cascade(sure, active, thresholds)
    point = operating_point(answered_by, ran, right, energy_j, readings, pool)
    samples, class_names = np.arange(len(y)), files.load_class_names(name)
    classes = by_class(right[samples, answered_by], right, ran, energy_j, y, class_names)
    found = settings.cascading.thresholds in params.FOUND  # which took the whole pool
    watts = settings.energy.watts_per_core
    extra_j = files.load_training_beyond_j(pool if found else models, pool, watts)
    if found:
        extra_j += files.load_metric("tuning", ["tuning", "energy_j"], "tune")
    if settings.cascading.thresholds == "certified":
        extra_j += len(files.load_labels("certification", name)) * float(energy_j.sum())
    grid = files.load_provenance(files.ENERGY, "benchmark")["grid_g_co2e_per_kwh"]
    told = {
        "cascade": " -> ".join(
            f"{model} {threshold:g}" for model, threshold in zip(models, thresholds, strict=True)
        ),
        "worst_class": worst_class(classes),
        "footprint": bill(point["energy_j"], extra_j, float(energy_j[-1]), grid),
    }
    files.save_metrics("cascading", {"cascading": point | told})
    label = {"strategy": "chosen", "name": "chosen", "label": "chosen"}
    files.save_rows("cascading", [label | point | {"cascade": told["cascade"]}])
    files.save_rows("confusion", confusion_rows(y, labels[samples, answered_by], class_names))
    files.save_rows("classes", classes)
    print(
        f"{told['cascade']}: accuracy {point['accuracy']:.2%} at {point['energy_share']:.3f} "
        f"of the energy of {pool[-1]}"
    )


if __name__ == "__main__":
    with reported():
        main()
