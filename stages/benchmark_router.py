"""Measure what one decision of each router costs in joules."""

from eco.energy.benchmark import benchmark
from eco.errors import reported
from eco.workflow import params
from eco.workflow.artifacts import PREDICTIONS, ROUTER_ENERGY, ROUTER_MODEL, SPLITS


def main() -> None:
    """Write J per sample of each router at each batch size."""
    settings = params.load()
    dataset, probe = settings.data.name, settings.router.probe
    X, _ = SPLITS.load(split="test", dataset=dataset)
    p = PREDICTIONS.load(model=probe, dataset=dataset, splits=["test"])["test"]
    inputs = {"router": X, "price_router": X, "probe_router": p}
    routers = {name: (ROUTER_MODEL.path(router=name), x) for name, x in inputs.items()}
    measurements = benchmark(routers, settings.energy)
    ROUTER_ENERGY.save(measurements)
    print(measurements.table())


if __name__ == "__main__":
    with reported():
        main()
