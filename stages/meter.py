"""Run the strategies for real, and measure what one answer of each costs in joules."""

from functools import partial

from eco.energy import metering, original
from eco.errors import reported
from eco.runtime.calls import Model
from eco.runtime.loading import load
from eco.runtime.session import Session
from eco.strategies.strategy import Strategy, always
from eco.workflow import artifacts, params
from eco.workflow.outcomes import measured
from eco.workflow.schema import Params
from eco.workflow.selection import named_strategies


def strategy_loaders(settings: Params, strategies: dict[str, Strategy]) -> dict[str, metering.Load]:
    """By name what loads each strategy, and the last model in floats where it is quantized."""
    pool, signal, threads = settings.pool, settings.cascading.confidence, settings.energy.threads
    with measured(artifacts.ENERGY) as models:
        energy_j = models.energy_j(pool, settings.energy.batch_size)

    def session(name: str) -> Model:
        is_router = name in artifacts.ROUTERS
        artifact = artifacts.ROUTER_MODEL if is_router else artifacts.MODEL
        return Session(artifact.path(model=name, router=name), threads)

    def as_trained(_: str) -> Model:
        return Session(artifacts.TEACHER.path(), threads)

    loaders: dict[str, metering.Load] = {
        name: partial(load, strategy, session, energy_j, pool, signal)
        for name, strategy in strategies.items()
    }
    if pool[-1] in settings.quantized:
        last_as_trained = partial(load, always(pool[-1]), as_trained, energy_j, pool, signal)
        loaders[metering.as_trained(next(iter(strategies)))] = last_as_trained
    return loaders


def main() -> None:
    """Write the measured energies, and how they compare with the modelled ones."""
    settings = params.load()
    X, y = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
    strategies = named_strategies(settings)
    loaders = strategy_loaders(settings, strategies)
    with measured(artifacts.ENERGY) as models:
        energies = metering.energies_in_calls(models, settings.pool, settings.energy)
    with measured(artifacts.ROUTER_ENERGY) as routers:
        energies |= metering.energies_in_calls(routers, artifacts.ROUTERS, settings.energy)
    n_classes = len(artifacts.LABELS.load(dataset=settings.data.name).class_names)
    others = {}
    if original.takes(X):
        load_original = partial(original.load, X.shape[1:], n_classes, settings.energy.threads)
        others = {original.NAME: load_original}
    metered = metering.meter_strategies(loaders, X, settings.energy, others)
    artifacts.METERED.save(metered)
    answers = {name: loaders[name]()(X) for name in strategies}
    latencies = {name: metering.latencies_ms(loader, X) for name, loader in loaders.items()}
    rows = metering.compare_with_model(metered, strategies, answers, y, energies)
    rows = [row | (latencies[row["name"]] if row["batch_size"] == 1 else {}) for row in rows]
    artifacts.METERED_ROWS.save(rows)
    summary = metering.summarise(rows, settings.energy.batch_size)
    artifacts.METERED_METRICS.save({"metered": summary})
    print(metered.table())


if __name__ == "__main__":
    with reported():
        main()
