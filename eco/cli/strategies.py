"""The strategies that can run, by name: what they are, their figures on test, their energies."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from eco.errors import LONGEST, EcoError, FileError, TargetError
from eco.runtime.calls import Model
from eco.runtime.engine import Answers
from eco.runtime.loading import load
from eco.strategies.names import CHOSEN, strategy_name
from eco.strategies.strategy import Strategy, always
from eco.workflow import artifacts, lock
from eco.workflow.outcomes import check_comparable, measured
from eco.workflow.schema import Params
from eco.workflow.selection import chosen_strategy, made_for, named_strategies

Array = NDArray[Any]


@dataclass(frozen=True)
class NamedStrategy:
    """A strategy and its figures on the test images, empty if it has none yet.

    ``family``: how it was found, as the rows of results say.
    """

    name: str
    family: str
    strategy: Strategy
    figures: Mapping[str, Any]


def list_strategies(settings: Params) -> Iterator[NamedStrategy]:
    """Every strategy that can run; raises `FileError` if a file of results can't be used."""
    with suppress(TargetError):  # the others can run without a chosen one
        strategy, (row, *_) = chosen_strategy(settings), artifacts.CASCADING_ROWS.load()
        figures = row if Strategy.from_json(row) == strategy else {}
        yield NamedStrategy(CHOSEN, CHOSEN, strategy, figures)
    models = artifacts.MODEL_METRICS.value("models")
    for model in filter(models.__contains__, settings.pool):
        loss = 100 * (models[list(models)[-1]]["accuracy"] - models[model]["accuracy"])
        figures = models[model] | {"accuracy_loss_points": loss}
        yield NamedStrategy(strategy_name("model", model), "model", always(model), figures)
    for row in artifacts.STRATEGY_ROWS.load():
        strategy = Strategy.from_json(row)
        # The engine doesn't vote, and a cascade of a former pool has no models any more.
        if strategy.kind == "cascade" and set(strategy.models) <= set(settings.pool):
            yield NamedStrategy(row["name"], row["strategy"], strategy, row)
    named = named_strategies(settings)
    for row in artifacts.ROUTING_ROWS.load():
        # Rows keep six digits of a price; what is certified is on record with all of them.
        is_certified = row["name"] != row["kind"]
        router = named.get(row["name"]) if is_certified else Strategy.from_json(row)
        if router is not None:
            yield NamedStrategy(row["name"], row["strategy"], router, row)


def find_strategy(settings: Params, name: str) -> Strategy:
    """The strategy that `eco show` lists under a name; an `EcoError` if there is none."""
    if name == CHOSEN:  # which needs none of the files of results
        return chosen_strategy(settings)
    strategies = {entry.name: entry for entry in list_strategies(settings)}
    if name not in strategies:
        close = difflib.get_close_matches(name[:LONGEST], strategies, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise EcoError(f"no strategy is called {name}{meant}", "List those there are: eco show")
    strategy = strategies[name].strategy
    if strategies[name].family == "tuned":
        # Rows of a former run stay where a new one was stopped before it reached them.
        points = artifacts.FRONTIER.load(made_for=made_for(settings)).points["accuracy"]
        if strategy not in [point.strategy for point in points]:
            raise FileError(
                f"{artifacts.STRATEGY_ROWS.path()} is of another run than "
                f"{artifacts.FRONTIER.path()}, which has no cascade {strategy.describe()}",
                "Finish the run: dvc repro",
            )
    return strategy


def load_energy_j(settings: Params, models: Sequence[str]) -> Array:
    """J per sample of each model at the study's batch size, (n_models,) float64."""
    with measured(artifacts.ENERGY) as energy:
        return energy.energy_j(models, settings.energy.batch_size)


def load_router_energy_j(settings: Params, router: str | None) -> float:
    """J per sample of a router, 0.0 without one; raises `FileError` as `check_comparable` does."""
    if router is None:
        return 0.0
    check_comparable()
    with measured(artifacts.ROUTER_ENERGY) as energy:
        return float(energy.energy_j([router], settings.energy.batch_size)[0])


def model_paths(strategy: Strategy) -> list[Path]:
    """The files of the models that a strategy runs, and of its router."""
    paths = [artifacts.MODEL.path(model=model) for model in strategy.models]
    if strategy.router:
        paths.append(artifacts.ROUTER_MODEL.path(router=strategy.router))
    return paths


def warn_of_changed_models(strategies: Iterable[Strategy]) -> None:
    """Say which files of models are not those that energies and certificates were made with."""
    for path in lock.changed({path: None for one in strategies for path in model_paths(one)}):
        click.echo(
            f"WARNING: {path} is not the file that the results were made with (dvc.lock), so "
            "energies and certificates may not hold for it. dvc status says what changed; to bring "
            f"it back: git checkout HEAD -- {path}",
            err=True,
        )


def open_session(settings: Params) -> Callable[[str], Model]:
    """What loads a model or a router by its name."""
    from eco.runtime.session import Session  # ONNX Runtime

    def session(name: str) -> Session:
        is_router = name in artifacts.ROUTERS
        artifact = artifacts.ROUTER_MODEL if is_router else artifacts.MODEL
        names = {"model": name, "router": name}
        path = artifact.path(**names)
        try:
            return Session(path, settings.energy.threads)
        except FileError as error:  # whose remedy is for those that dvc keeps
            raise artifact.error(error.problem.removeprefix(f"{path} "), **names) from None

    return session


def load_strategy(
    settings: Params, strategy: Strategy, session: Callable[[str], Model] | None = None
) -> Callable[[Array], Answers]:
    """The strategy, ready to answer images; `session` is `open_session`, or shares its models."""
    session = session or open_session(settings)
    pool_j = load_energy_j(settings, settings.pool)
    return load(strategy, session, pool_j, settings.pool, settings.cascading.confidence)


def load_shape(strategy: Strategy) -> tuple[int, ...]:
    """Height and width of the images that a strategy's first model takes, and 3 where in colour."""
    model = strategy.models[0]
    axes = artifacts.MODEL.load(model=model).graph.input[0].type.tensor_type.shape.dim
    shape = tuple(axis.dim_value for axis in axes[1:])
    if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or not all(n > 0 for n in shape):
        must = "must take images (n, height, width) or (n, height, width, 3)"
        raise artifacts.MODEL.error(must, model=model)
    return shape
