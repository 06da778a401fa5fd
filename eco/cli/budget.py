"""`eco budget`: what a limit of energy or carbon an hour would do under a load."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from eco.cli.limits import (
    Grid,
    budget_settings,
    check_covers,
    limit_options,
    load_limit,
    number_or_series,
)
from eco.cli.show import aligned
from eco.cli.strategies import find_strategy
from eco.errors import DataError
from eco.evaluation.budget import HOUR_S, J_PER_KWH, Series, Simulation, mixture_loss, simulate
from eco.strategies.decisions import decide
from eco.strategies.names import strategy_name
from eco.strategies.strategy import Strategy
from eco.workflow import params
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params

Array = NDArray[Any]

EXAMPLES = """\b
Examples:
  eco budget --load 3e6 --max-j-per-hour 30
  eco budget -s certified --load load.csv --max-g-per-hour 0.01 --grid grid.csv
"""
NAME = "The strategy that answers where the limit allows it."
LOAD = "Images an hour, or a CSV file of time and images, an hour a line."
HOURS = "Hours of a constant load.  [default: 24, or those of --grid]"


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.option("-s", "--strategy", "name", default="chosen", help=NAME)
@click.option("--load", metavar="NUMBER|FILE", required=True, help=LOAD)
@click.option("--hours", type=click.IntRange(1, 8784), help=HOURS)
@limit_options
def budget(
    name: str, load: str, hours: int | None,
    max_j: float | None, max_g: float | None, grid: str | None, over: str | None,
) -> None:  # fmt: skip
    """Simulate how `eco serve` keeps a limit an hour, and the accuracy that this costs.

    By the answers to the test images: mean energies and accuracies of the tuned cascades, and a
    load that is evenly spread over each hour.
    """
    settings = params.load()
    strategy = find_strategy(settings, name)
    limit, intensity = load_limit(max_j, max_g, grid, over)
    if limit is None:
        raise click.UsageError("Name --max-j-per-hour or --max-g-per-hour.")
    start, images = _load(load, hours, intensity)
    found = budget_settings(settings, name, strategy)
    pool = _on_test(settings, [point.strategy for point in found])

    planned_j = np.array([point.energy_j for point in found])
    units = _units(intensity, start, len(images))
    kept = simulate(planned_j, pool.energy_j, limit, images, units, over == "refuse")
    alone = [images * setting_j * units.mean(axis=1) for setting_j in pool.energy_j[[0, -1]]]
    unit = "J" if intensity is None else "g CO2e"
    click.echo(f"{name}: {strategy.describe()}, and {len(found) - 1} cheaper settings from")
    click.echo(f"{found[0].strategy.describe()} on; at most {limit:g} {unit} an hour\n")
    click.echo(aligned(*_hours(kept, start, limit, unit, pool)) + "\n")
    click.echo("\n".join(_summary(kept, alone, limit, unit, name, pool)))


@dataclass(frozen=True, eq=False)
class _OnTest:
    """Settings on the test images: J per sample, right or wrong, and the same of the last model."""

    energy_j: Array
    correct: Array
    last: str
    by_last: Array


def _on_test(settings: Params, strategies: list[Strategy]) -> _OnTest:
    routers = any(strategy.router is not None for strategy in strategies)
    outcomes = load_outcomes(settings, "test", routers=routers)
    decisions = [decide(strategy, outcomes) for strategy in strategies]
    correct = np.stack([each.correct(outcomes) for each in decisions], axis=1)
    energy_j = np.array([each.energy_j(outcomes) for each in decisions])
    return _OnTest(energy_j, correct, settings.pool[-1], outcomes.correct[:, -1])


def _load(text: str, hours: int | None, grid: Grid) -> tuple[float, Array]:
    """Seconds since 1970 of the beginning, and images of each hour."""
    load = number_or_series(text, "--load", "images")
    if not isinstance(load, Series):
        if isinstance(grid, Series):
            hours = hours or int((grid.end - grid.start) // HOUR_S)
            check_covers(grid, grid.start, grid.start + HOUR_S * max(hours, 1))
        start = grid.start if isinstance(grid, Series) else 0.0
        start, images = start, np.full(hours or 24, load)
    elif hours is not None:
        raise click.UsageError("--hours goes with a constant --load.")
    elif load.step_s != HOUR_S:
        raise DataError(f"{text} must have a line an hour; got one every {load.step_s:g} s")
    else:
        check_covers(grid, load.start, load.end)
        start, images = load.start, load.values
    if not images.sum():
        raise DataError("--load must hold an image at least")
    return start, images


def _units(grid: Grid, start: float, n_hours: int) -> Array:
    """How much of the limit a J takes in each minute, (n_hours, 60)."""
    if grid is None:
        return np.ones((n_hours, 60))
    if not isinstance(grid, Series):
        return np.full((n_hours, 60), grid / J_PER_KWH)
    minutes = start + 60.0 * np.arange(60 * n_hours)
    return np.array([grid.at(at) for at in minutes]).reshape(n_hours, 60) / J_PER_KWH


def _hours(
    kept: Simulation, start: float, limit: float, unit: str, pool: _OnTest
) -> tuple[list[str], list[list[str]]]:
    head = ["hour", "images", unit, "of the limit", f"points below {pool.last}", "refused"]
    rows = []
    hours = zip(kept.spent, kept.samples, kept.refused, strict=True)
    for hour, (spent, samples, refused) in enumerate(hours):
        at = datetime.fromtimestamp(start + HOUR_S * hour, UTC)
        name = f"{at:%Y-%m-%d %H:%M}" if start else f"{hour + 1}"
        lost = (
            f"{mixture_loss(pool.correct, pool.by_last, samples)[0]:.2f}" if samples.any() else ""
        )
        cells = [f"{samples.sum():,.0f}", f"{spent:.4g}", f"{spent / limit:.1%}", lost]
        rows.append([name, *cells, f"{refused:,.0f}"])
    if not kept.refused.any():
        head, rows = head[:-1], [row[:-1] for row in rows]
    return head, rows


def _summary(
    kept: Simulation, alone: list[Array], limit: float, unit: str, name: str, pool: _OnTest
) -> Iterator[str]:
    def within(spent: Array) -> str:
        return f"{(spent <= limit * (1 + 1e-9)).sum()} of {len(spent)} hours"

    cheapest, dearest = alone
    yield f"within the limit  {within(kept.spent)}; {name} alone: {within(dearest)}"
    answered, refused = kept.samples.sum(), kept.refused.sum()
    if (cheapest > limit).any() or refused:
        share = f"{refused / (answered + refused):.2%} of the images are" if refused else "none is"
        yield f"                  the cheapest setting alone: {within(cheapest)}; {share} refused"
    total, of_dearest = kept.spent.sum(), dearest.sum()
    yield f"spent             {total:.4g} {unit}; {name} alone: {of_dearest:.4g} {unit}"
    weights = kept.samples.sum(axis=0)
    accuracy = float((pool.correct @ weights).mean() / weights.sum())
    yield f"accuracy          {accuracy:.2%} on the test images at these shares of the settings"
    others = {name: pool.correct[:, -1], strategy_name("model", pool.last): pool.by_last}
    for other, of in others.items():
        lost, low, high = mixture_loss(pool.correct, of, weights)
        yield f"points lost       {lost:.2f} [{low:.2f}, {high:.2f}] below {other}"
    yield f"(modelled {unit} of the models alone: what HTTP takes is not in it)"
