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
    tuning_j = files.load_metric("tuning", ["tuning", "energy_j"], "tune")
    fitting = files.load_metric("router", ["router", "cpu_seconds"], "train_router")
    # Routers learn from what every model makes of these images.
    n_learnt_on = sum(
        len(files.load_labels(split, settings.data.name)) for split in ("calibration", "tuning")
    )
    n_certified_on = len(files.load_labels("certification", settings.data.name))
    others_j = files.load_training_beyond_j(pool, pool, config.watts_per_core)
    certifying_j = n_certified_on * float(np.sum(energy_j))
    labelling_j = n_learnt_on * float(np.sum(energy_j))
    footprint: dict[str, Any] = {"always_last": per_thousand(float(energy_j[-1]), grid)}

    def add(name: str, joules: float, extra_j: float) -> None:
        footprint[name] = bill(joules, extra_j, float(energy_j[-1]), grid)

    found = files.load_metric("frontier", ["frontier"], "evaluate_frontier")
    for name in ("tuned", "certified"):
        if name in found:
            extra_j = others_j + tuning_j + certifying_j * (name == "certified")
            add(name, found[name]["energy_j"], extra_j)
    routing = files.load_metric("routing", ["routing"], "evaluate_routing")
    for name, point in routing.items():
        kind = name.removesuffix("_certified")
        seconds = fitting["probe_router" if kind == "probe_cascade" else kind]
        extra_j = others_j + labelling_j + config.watts_per_core * seconds
        add(name, point["energy_j"], extra_j + certifying_j * (name != kind))
    for name, row in footprint.items():
        print(
            f"{name:14} {row['wh_per_1000']:.3g} Wh and {row['g_co2e_per_1000']:.3g} g CO2e per "
            "1,000 predictions"
            + (f"; pays for its training {row['pays']}" if "pays" in row else "")
        )
    teaching_s = files.load_metric("teaching", ["teaching", "cpu_seconds"], "teach")
    joules = {
        "training_j": training_j,
        "teaching_j": config.watts_per_core * teaching_s,
        "tuning_j": tuning_j,
        "certifying_j": certifying_j,
    }
    files.save_metrics("footprint", {"footprint": footprint} | joules)


if __name__ == "__main__":
    with reported():
        main()
