"""Measure what one decision of the router costs in joules."""

from eco import energy, files, params
from eco.errors import reported


def main() -> None:
    """Write data/router_energy.json: J per sample of the router at each batch size."""
    settings = params.load()
    X, _ = files.load_images("test", settings.data.name)
    protocol = settings.energy.model_dump(exclude={"batch_size"})
    measured = energy.benchmark({"router": files.ROUTER}, X, announce=print, **protocol)
    files.save_json(files.ROUTER_ENERGY, measured)
    print(energy.table(measured["measurements"]))


if __name__ == "__main__":
    with reported():
        main()
