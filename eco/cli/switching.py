"""Several strategies in one server, which share their models, and what chooses among them."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eco.cli.answering import Runner
from eco.cli.inputs import SAMPLES, load_coding
from eco.cli.limits import Grid, budget_settings
from eco.cli.monitor import load_held_out
from eco.cli.strategies import find_strategy, load_shape, open_session
from eco.errors import EcoError
from eco.runtime.engine import Answers
from eco.serving.inputs import make_inputs
from eco.serving.policy import BudgetPolicy, DriftPolicy, Policy
from eco.serving.service import Run, Served
from eco.strategies.names import CERTIFIED, strategy_name
from eco.strategies.strategy import Strategy
from eco.workflow.schema import Params

Array = NDArray[Any]
OnDrift = Literal["warn", "last", "certified"]


def load_served(
    settings: Params, name: str, strategy: Strategy, strategies: Sequence[Strategy]
) -> Served:
    """The strategy called `name`, and all that may answer; each model is loaded once."""
    session = cache(open_session(settings))
    others = {model for each in strategies for model in each.models} - {*strategy.models}
    models = [*strategy.models, *filter(others.__contains__, settings.pool)]
    runs, coding = [], load_coding(settings)
    shape = load_shape(strategy) if coding is None else coding.shape
    for each in strategies:
        runner = Runner(settings, each, session=session)
        runner.check(each.models[0], shape)
        runs.append(_placed(runner, [models.index(model) for model in each.models]))
    inputs = make_inputs(SAMPLES[settings.data.kind], shape, coding)
    return Served(name, strategy.describe(), models, runner.names.classes, inputs, runs)


def _placed(runner: Runner, places: Sequence[int]) -> Run:
    """The same answers, by other indices of the models."""
    if list(places) == list(range(len(places))):
        return runner
    of_models = np.array(places)

    def run(X: Array) -> tuple[Answers, Array]:
        answers, energy_j = runner(X)
        return answers._replace(answered_by=of_models[answers.answered_by]), energy_j

    return run


def drift_policy(
    settings: Params, name: str, strategy: Strategy, on_drift: OnDrift, alpha: float
) -> tuple[Policy, list[Strategy]]:
    """What watches the shares of a strategy's models, and the strategies that it takes.

    Raises `EcoError` if there is nothing to see or to fall back on.
    """
    if len(strategy.models) < 2:
        remedy = "Serve a strategy of several models, or leave out --on-drift."
        raise EcoError(
            f"--on-drift sees how many samples each model answers; {name} has one", remedy
        )
    fallback, strategies = None, [strategy]
    if on_drift != "warn":
        last = strategy_name("model", settings.pool[-1])
        fallback = {"last": last, "certified": CERTIFIED}[on_drift]
        strategies.append(find_strategy(settings, fallback))
        if strategies[1] == strategy:
            remedy = "Name another of warn, last and certified."
            raise EcoError(f"--on-drift {on_drift} changes nothing: {name} is {fallback}", remedy)
    held_out, _ = load_held_out(settings, strategy)
    counts = np.bincount(held_out.answered_by, minlength=len(strategy.models))
    return DriftPolicy(counts, alpha, fallback), strategies


def budget_policy(
    settings: Params, name: str, strategy: Strategy, per_hour: float, grid: Grid, refuses: bool
) -> tuple[Policy, list[Strategy]]:
    """What keeps a limit an hour, and the strategies that it takes, the cheapest first."""
    points = budget_settings(settings, name, strategy)
    strategies = [point.strategy for point in points]
    described, energy_j = [one.describe() for one in strategies], [p.energy_j for p in points]
    return BudgetPolicy(described, energy_j, per_hour, grid, refuses), strategies
