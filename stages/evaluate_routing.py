"""Score the router: the model that it picked for each image, and what picking cost."""

import numpy as np

from eco import files, params
from eco.confidence import correct
from eco.errors import reported
from eco.intervals import strategy_interval
from eco.routing import routed_energy_j
from eco.scoring import operating_point


def main() -> None:
    """Write the router's metrics, and its row for the plots."""
    settings = params.load()
    name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
    files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark_router")
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    (router_j,) = files.load_energy(files.ROUTER_ENERGY, ["router"], batch_size, "benchmark_router")
    readings_j = files.load_readings(files.ENERGY, pool, batch_size, "benchmark")
    router_readings_j = files.load_readings(
        files.ROUTER_ENERGY, ["router"], batch_size, "benchmark_router"
    )[:, 0]
    right = correct(files.load_predictions(pool, "test", name), files.load_labels("test", name))
    answered_by = files.load_choices(files.ROUTED, "test", pool, len(right), "train_router")
    cost = routed_energy_j(answered_by, energy_j, router_j)
    point = operating_point(answered_by, cost, right, energy_j, pool)
    runs = np.bincount(answered_by, minlength=len(pool)) / len(answered_by)
    point |= strategy_interval(runs, readings_j, point["energy_j"], router_readings_j)
    files.save_metrics("routing", {"routing": point | {"router_energy_j": router_j}})
    files.save_rows("routing", [{"strategy": "router", "name": "router"} | point])
    print(
        f"router: accuracy {point['accuracy']:.2%} at {point['energy_share']:.3f} of the energy "
        f"of {pool[-1]}, {router_j / energy_j[-1]:.3f} of it for the router itself"
    )


if __name__ == "__main__":
    with reported():
        main()
