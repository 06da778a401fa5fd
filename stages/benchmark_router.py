"""Measure what one decision of each router costs in joules."""

from eco import energy, files, params
from eco.errors import reported


def main() -> None:
    """Write data/router_energy.json: J per sample of each router at each batch size."""
    settings = params.load()
    name, probe = settings.data.name, settings.router.probe
    X, _ = files.load_images("test", name)
    answers = files.load_predictions([probe], "test", name)[:, 0]
    given = {"router": X, "price_router": X, "probe_router": answers}
    routers = {router: (files.router_path(router), samples) for router, samples in given.items()}
    protocol = settings.energy.model_dump(exclude={"batch_size"})
    measured = energy.benchmark(routers, announce=print, **protocol)
    files.save_json(files.ROUTER_ENERGY, measured)
    print(energy.table(measured["measurements"]))


if __name__ == "__main__":
    with reported():
        main()
