"""Score the cascade at the chosen thresholds, at every preset, and along one shared threshold."""

import numpy as np

from eco import files, params
from eco.cascading import cascade, cascade_energy_j, cascade_runs, shared_threshold_curve
from eco.confidence import confidence, correct, predictions
from eco.errors import reported
from eco.intervals import strategy_interval
from eco.scoring import confusion_rows, operating_point


def main() -> None:
    """Write the cascade's metrics, and the rows of its plots."""
    settings = params.load()
    name, pool, chain = settings.data.name, settings.pool, settings.cascading
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    readings_j = files.load_readings(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    probabilities = files.load_predictions(pool, "test", name)
    y = files.load_labels("test", name)
    right = correct(probabilities, y)
    active = np.array([pool.index(model) for model in chain.active_models])
    sure = confidence(probabilities[:, active])

    def at(thresholds: list[float]) -> tuple[np.ndarray, dict]:
        answered_at = cascade(sure, thresholds)
        cost = cascade_energy_j(answered_at, energy_j[active])
        answered_by = active[answered_at]
        point = operating_point(answered_by, cost, right, energy_j, pool)
        runs = np.zeros(len(pool))
        runs[active] = cascade_runs(answered_at, len(active))
        return answered_by, point | strategy_interval(runs, readings_j, point["energy_j"])

    answered_by, chosen = at(chain.chosen_thresholds)
    points = [{"strategy": "cascade", "name": "chosen"} | chosen]
    for preset, thresholds in chain.presets.items():
        if len(thresholds) != len(active):
            print(f"{preset}: left out, {len(thresholds)} thresholds for {len(active)} models")
            continue
        points.append({"strategy": "cascade", "name": preset} | at(thresholds)[1])
    curve = shared_threshold_curve(sure, right[:, active], energy_j[active])
    files.save_metrics("cascading", {"cascading": chosen})
    files.save_rows("cascading", points)
    files.save_rows(
        "cascading_curve",
        [dict(zip(("threshold", "accuracy", "energy_j"), point, strict=True)) for point in curve],
    )
    labels = predictions(probabilities)[np.arange(len(y)), answered_by]
    files.save_rows("confusion", confusion_rows(y, labels, files.load_class_names(name)))
    for point in points:
        print(
            f"{point['name']:14} accuracy {point['accuracy']:.2%} at {point['energy_share']:.3f} "
            f"of the energy of {pool[-1]}"
        )


if __name__ == "__main__":
    with reported():
        main()
