"""`eco demo`: a cascade on a few samples, its energy on this machine, and the page."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from numpy.typing import NDArray

from eco.cli.options import FiniteRange
from eco.cli.show import aligned
from eco.cli.strategies import load_energy_j, load_strategy
from eco.commands import command
from eco.energy.machine import machine, origin
from eco.errors import FileError
from eco.runtime.engine import Answers
from eco.strategies.names import strategy_name
from eco.strategies.strategy import Strategy, always
from eco.workflow import params
from eco.workflow.artifacts import ENERGY, LABELS, MODEL, REPORT, SAMPLE
from eco.workflow.schema import Params
from eco.workflow.selection import tuned_strategy

if TYPE_CHECKING:
    from eco.energy.here import Here

Array = NDArray[Any]

NAME = "cascade"
EXAMPLES = """\b
Examples:
  eco demo
  eco demo --seconds 120    # narrower intervals
"""
SECONDS = "After so many seconds no further round of measuring begins."
NEXT = """
What next:
  first                 source {environment}/bin/activate
  another threshold     dvc exp run --allow-missing -S 'cascading.thresholds=[{thresholds}]'
  your own samples      eco predict {file} -o answers.csv
  every strategy        eco show
  the study, here       {repro}"""


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.option("--seconds", type=FiniteRange(1, 3600), default=30.0, help=SECONDS)
def demo(seconds: float) -> None:
    """Answer a few samples by the tuned cascade, measure that here, and name the page.

    Everything it needs is in git: samples, models, results. Neither training nor a network.
    """
    settings = params.load()
    X, y = _sample(settings)
    strategy = tuned_strategy(settings)
    click.echo(f"{strategy.describe()}, on {len(X)} test {_called(settings)}, on {machine()}")
    answers = load_strategy(settings, strategy)(X)
    click.echo("\n".join(_answered(settings, strategy, answers, X, y)))
    here = _measure(settings, strategy, X, y, seconds)
    click.echo("\n".join(_energies(settings, here)))
    run_j = float((answers.ran @ load_energy_j(settings, strategy.models)).mean())
    share = run_j / float(load_energy_j(settings, settings.pool[-1:])[0])
    click.echo(f"by the readings of {origin(ENERGY.load().provenance)}: modelled {share:.3f}")
    if not REPORT.path().exists():
        from eco.report.make import make_page  # Vega-Lite

        REPORT.save(make_page(settings))
    click.echo(f"\nthe page: {REPORT.path()}, opens in any browser{_advice(settings)}")


def _called(settings: Params) -> str:
    return "images" if settings.data.kind == "images" else "samples"


def _advice(settings: Params) -> str:
    falling = [0.95, 0.9, 0.85] + [0.8] * len(settings.cascading.active_models)
    thresholds = [*falling[: len(settings.cascading.active_models) - 1], 0.0]
    return NEXT.format(
        environment=os.path.relpath(sys.prefix),
        thresholds=",".join(map(str, thresholds)),
        file="images.npy" if settings.data.kind == "images" else "samples.csv",
        repro=command("repro"),
    )


def _sample(settings: Params) -> tuple[Array, Array]:
    if not SAMPLE.path().exists():
        raise FileError(
            f"{SAMPLE.path()} is missing",
            "Make it, with the samples that it is taken from: dvc repro sample",
        )
    return SAMPLE.load(dataset=settings.data.name)


def _answered(
    settings: Params, strategy: Strategy, answers: Answers, X: Array, y: Array
) -> Iterator[str]:
    last = load_strategy(settings, always(settings.pool[-1]))(X)
    rows = []
    for place, model in enumerate(strategy.models):
        mine = answers.answered_by == place
        right = f"{(answers.labels == y)[mine].mean():.0%}" if mine.any() else ""
        rows.append([model, f"{mine.mean():.1%}", right])
    yield f"\n{aligned(['answered by', _called(settings), 'right'], rows)}"
    own, reference = ((one.labels == y).mean() for one in (answers, last))
    n = len(LABELS.load(dataset=settings.data.name).y["test"])
    yield (
        f"right: {own:.1%}; {settings.pool[-1]} alone {reference:.1%}. So few {_called(settings)} "
        f"say little of accuracy: eco show has all {n:,}"
    )


def _measure(settings: Params, strategy: Strategy, X: Array, y: Array, seconds: float) -> "Here":
    from eco.energy.here import measure_here
    from eco.runtime.session import Session

    last, threads = settings.pool[-1], settings.energy.threads
    strategies = {strategy_name("model", last): always(last), NAME: strategy}
    models = {
        model: partial(Session, MODEL.path(model=model), threads)
        for model in dict.fromkeys([*strategy.models, last])
    }
    loaders = {name: partial(load_strategy, settings, one) for name, one in strategies.items()}
    energy = settings.energy.model_copy(update={"budget_s": seconds})
    return measure_here(models, loaders, strategies, X, y, energy)


def _energies(settings: Params, here: "Here") -> Iterator[str]:
    provenance = here.measurements.provenance
    yield f"\nenergy by CodeCarbon on this machine, mode {provenance['mode']}:"
    yield aligned(
        ["", f"uJ per {_called(settings)[:-1]}", "modelled", "realised, share of the last model"],
        [_cells(row) for row in here.rows],
    )
    yield (
        f"{provenance['rounds']} rounds in {provenance['seconds']:.0f} s. Modelled: the models "
        "that ran, each measured alone. In brackets: 95 %"
    )
    flags = sorted({flag for row in here.rows for flag in row["flags"]})
    if flags:
        yield f"to be read with care: {', '.join(flags)} (eco doctor says what that means)"


def _cells(row: dict[str, Any]) -> list[str]:
    share, low, high = (row[f"energy_share{end}"] for end in ("", "_low", "_high"))
    interval = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    joules = f"{1e6 * row['energy_j']:.3g}"
    return [row["name"], joules, f"{row['modelled_share']:.3f}", f"{share:.3f}{interval}"]
