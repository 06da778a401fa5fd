"""Turn joules into what people ask for: CO2 per thousand predictions, and when it pays."""

import numpy as np

from eco import files, params
from eco.errors import reported
from eco.footprint import break_even_predictions, per_thousand


def main() -> None:
    """Write metrics/footprint.json: always the last model, the cascade and the router."""
    settings = params.load()
    pool, config = settings.pool, settings.energy
    energy_j = files.load_energy(files.ENERGY, pool, config.batch_size, "benchmark")
    grid = files.load_provenance(files.ENERGY, "benchmark")["grid_g_co2e_per_kwh"]
    cascading = files.load_json(files.metrics_path("cascading"), "evaluate_cascading")["cascading"]
    routing = files.load_json(files.metrics_path("routing"), "evaluate_routing")["routing"]
    # Training is billed by CPU time: it ran for minutes, where ticks and samplers don't matter.
    training_j = {
        model: config.watts_per_core
        * files.load_json(files.metrics_path(f"training/{model}"), f"train@{model}")["training"][
            model
        ]["cpu_seconds"]
        for model in pool
    }
    router = files.load_json(files.metrics_path("router"), "train_router")["router"]
    n_labelled = len(files.load_labels("validation", settings.data.name))
    labelling_j = n_labelled * float(np.sum(energy_j))
    others_j = sum(training_j[model] for model in pool[:-1])
    router_j = config.watts_per_core * router["cpu_seconds"] + labelling_j + others_j
    chain_j = sum(training_j[model] for model in settings.cascading.active_models)
    costs = {
        "always_last": (float(energy_j[-1]), 0.0),
        "cascading": (cascading["energy_j"], chain_j - training_j[pool[-1]]),
        "routing": (routing["energy_j"], router_j),
    }
    footprint = {}
    for name, (joules, extra_training_j) in costs.items():
        predictions = break_even_predictions(extra_training_j, float(energy_j[-1]) - joules)
        pays = "not worth it" if predictions is None else f"after {predictions:,} predictions"
        footprint[name] = per_thousand(joules, grid) | {"extra_training_j": extra_training_j}
        if name in ("cascading", "routing"):
            footprint[name] |= {"break_even_predictions": predictions, "pays": pays}
        print(
            f"{name:14} {footprint[name]['wh_per_1000']:.3g} Wh and "
            f"{footprint[name]['g_co2e_per_1000']:.3g} g CO2e per 1,000 predictions"
            + (f"; pays for its training {pays}" if extra_training_j else "")
        )
    files.save_metrics("footprint", {"footprint": footprint, "training_j": training_j})


if __name__ == "__main__":
    with reported():
        main()
