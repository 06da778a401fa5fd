"""`eco tune`: find the cascade for a target."""

import shlex
from collections.abc import Iterator

import click

from eco.cli.options import FiniteRange
from eco.cli.show import aligned, estimate
from eco.errors import TargetError
from eco.evaluation.scoring import score
from eco.strategies.decisions import decide
from eco.strategies.strategy import Strategy
from eco.workflow import params
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import tuned_strategy

#: Stages that a tuned cascade changes and that need neither images nor models.
STAGES = "evaluate_cascading compare"
EXAMPLES = """\b
Examples:
  eco tune --max-accuracy-loss 0.5    # the cheapest that loses at most half a point
  eco tune --energy-budget 0.1        # the most accurate for a tenth of the energy
"""
LOSS = "Points of accuracy below the last model."
BUDGET = "Share of the last model's energy."


@click.command(epilog=EXAMPLES)
@click.option("--max-accuracy-loss", type=FiniteRange(0, 100, max_open=True), help=LOSS)
@click.option("--energy-budget", type=FiniteRange(0, 1, min_open=True), help=BUDGET)
def tune(**limits: float | None) -> None:
    """Name the cascade for a target, its figures, and the command that puts it to use.

    It was found on the tuning images; what to expect of new ones is what it does on the test
    images. In brackets 95 % intervals.
    """
    named = {target: limit for target, limit in limits.items() if limit is not None}
    if len(named) != 1:
        raise click.UsageError("Name one of --max-accuracy-loss and --energy-budget.")
    ((target, limit),) = named.items()
    option = f"--{target.replace('_', '-')}"
    settings = params.load()
    goal = settings.tuning.model_copy(update={"target": target, target: limit})
    try:
        strategy = tuned_strategy(settings.model_copy(update={"tuning": goal}))
    except TargetError as error:
        raise TargetError(
            error.problem, f"Raise {option}.", target=error.target, attainable=error.attainable
        ) from None
    click.echo(strategy.describe())
    scores = list(_scores(settings, strategy))
    click.echo(aligned(("", "accuracy", "points lost", "energy share"), scores))
    values = {"cascading.thresholds": "tuned", "tuning.target": target}
    values |= {f"tuning.{target}": f"{limit:g}"}
    options = " ".join(f"-S {shlex.quote(f'{key}={value}')}" for key, value in values.items())
    click.echo(f"\nPut it to use: dvc exp run --allow-missing {options} {STAGES}")


def _scores(settings: params.Params, strategy: Strategy) -> Iterator[list[str]]:
    for split in ("tuning", "test"):
        outcomes = load_outcomes(settings, split)
        row = score(decide(strategy, outcomes), outcomes).to_row()
        loss, share = estimate(row, "accuracy_loss_points", 2), estimate(row, "energy_share", 4)
        yield [f"on {split}", f"{row['accuracy']:.2%}", loss, share]
