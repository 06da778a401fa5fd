"""Turn joules into what people ask for: CO2 per thousand predictions, and when it pays."""

from typing import Any

import numpy as np

from eco import files, params
from eco.errors import reported
from eco.footprint import bill, per_thousand


def main() -> None:
    """Write metrics/footprint.json: always the last model, found cascades and the routers."""
    settings = params.load()
    pool, config = settings.pool, settings.energy
    energy_j = files.load_energy(files.ENERGY, pool, config.batch_size, "benchmark")
    grid = files.load_provenance(files.ENERGY, "benchmark")["grid_g_co2e_per_kwh"]
    training_j = files.load_training_j(pool, config.watts_per_core)
    tuning = files.load_json(files.metrics_path("tuning"), "tune")["tuning"]
    fitting = files.load_json(files.metrics_path("router"), "train_router")["router"]["cpu_seconds"]
    # Tuning and routers need every model trained, and run over the images that they learn from.
    learnt_on = {
        split: len(files.load_labels(split, settings.data.name)) for split in files.HELD_OUT
    }
    others_j = sum(training_j[model] for model in pool[:-1])
    tuning_j = config.watts_per_core * tuning["cpu_seconds"]
    tuning_j += learnt_on["tuning"] * float(np.sum(energy_j))
    labelling_j = (learnt_on["calibration"] + learnt_on["tuning"]) * float(np.sum(energy_j))
    footprint: dict[str, Any] = {"always_last": per_thousand(float(energy_j[-1]), grid)}

    def add(name: str, joules: float, extra_j: float) -> None:
        footprint[name] = bill(joules, extra_j, float(energy_j[-1]), grid)

    found = files.load_json(files.metrics_path("frontier"), "evaluate_frontier")["frontier"]
    for name in ("tuned", "certified"):
        if name in found:
            add(name, found[name]["energy_j"], others_j + tuning_j)
    routing = files.load_json(files.metrics_path("routing"), "evaluate_routing")["routing"]
    for name, seconds in fitting.items():
        if name in routing:
            fitting_j = config.watts_per_core * seconds
            add(name, routing[name]["energy_j"], others_j + labelling_j + fitting_j)
    for name, row in footprint.items():
        print(
            f"{name:14} {row['wh_per_1000']:.3g} Wh and {row['g_co2e_per_1000']:.3g} g CO2e per "
            "1,000 predictions"
            + (f"; pays for its training {row['pays']}" if "pays" in row else "")
        )
    files.save_metrics(
        "footprint", {"footprint": footprint, "training_j": training_j, "tuning_j": tuning_j}
    )


if __name__ == "__main__":
    with reported():
        main()
