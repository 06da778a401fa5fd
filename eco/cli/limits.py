"""A limit of energy or carbon an hour: its options, and the settings that keep it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from eco.cli.options import FiniteRange
from eco.cli.series import LARGEST, read_series
from eco.errors import DataError, EcoError, shortened
from eco.evaluation.budget import Series, settings_below
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import evaluate
from eco.workflow.artifacts import ENERGY
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params
from eco.workflow.selection import tuned_cascades

#: g CO2e per kWh, one number or over time; None where the limit is one of joules.
Grid = Series | float | None

LIMIT = FiniteRange(0, 1e12, min_open=True)
JOULES = "Limit of an hour, which cheaper tuned cascades keep; modelled J of the models."
GRAMS = "The same in g CO2e."
GRID = "g CO2e per kWh, or a CSV file of time and g_per_kwh; by default that of the study."
OVER = "Where even the cheapest of them costs more: answer all the same, or refuse by 429."


def limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a limit: `max_j`, `max_g`, `grid`, `over`."""
    choice = click.Choice(["answer", "refuse"])
    command = click.option("--over-budget", "over", type=choice, help=OVER)(command)
    command = click.option("--grid", metavar="NUMBER|FILE", help=GRID)(command)
    command = click.option("--max-g-per-hour", "max_g", type=LIMIT, help=GRAMS)(command)
    return click.option("--max-j-per-hour", "max_j", type=LIMIT, help=JOULES)(command)


def load_limit(
    max_j: float | None, max_g: float | None, grid: str | None, over: str | None
) -> tuple[float | None, Grid]:
    """The limit an hour, None without one, and the grid of a limit of g CO2e."""
    if over is not None and max_j is None and max_g is None:
        raise click.UsageError("--over-budget goes with --max-j-per-hour or --max-g-per-hour.")
    if max_j is not None and max_g is not None:
        raise click.UsageError("Name one of --max-j-per-hour and --max-g-per-hour.")
    if max_g is None:
        if grid is not None:
            raise click.UsageError("--grid goes with --max-g-per-hour.")
        return max_j, None
    if grid is None:
        return max_g, float(ENERGY.load().provenance["grid_g_co2e_per_kwh"])
    return max_g, number_or_series(grid, "--grid", "g_per_kwh")


def number_or_series(text: str, option: str, column: str) -> Series | float:
    """A number, or the `Series` that a file holds."""
    try:
        number = float(text)
    except ValueError:
        return read_series(Path(text), column)
    if not 0 <= number <= LARGEST:
        must = f"a number from 0 to {LARGEST:g}, or a CSV file"
        raise DataError(f"{option} must be {must}; got {shortened(text)}")
    return number


def check_covers(grid: Grid, start: float, end: float) -> None:
    """Raise `DataError` where a grid says nothing of some time, in seconds since 1970."""
    if isinstance(grid, Series) and not grid.covers(start, end):
        given, needed = (
            " to ".join(f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M}Z" for time in times)
            for times in ((grid.start, grid.end), (start, end))
        )
        raise DataError(f"--grid has {given}, but must have {needed}", "Name a file that has.")


def budget_settings(settings: Params, name: str, strategy: Strategy) -> list[OperatingPoint]:
    """A strategy, and the tuned cascades below it, by rising energy; figures on tuning images.

    Raises `FileError` if nothing was tuned, `EcoError` if nothing is cheaper.
    """
    outcomes = load_outcomes(settings, "tuning", routers=strategy.router is not None)
    points, _ = tuned_cascades(settings)
    found = settings_below(points, evaluate(strategy, outcomes))
    if len(found) < 2:
        problem = f"a budget takes cheaper settings than {name}, and no tuned cascade is one"
        raise EcoError(problem, "Name another strategy with -s: eco show lists them.")
    return found
