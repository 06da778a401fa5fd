"""`eco monitor`: whether a strategy's models still answer the shares that they did held out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from eco.cli.answers import AnswerColumns, read_answers
from eco.cli.show import aligned
from eco.cli.strategies import find_strategy
from eco.data.streams import read_labels
from eco.errors import DataError, shortened
from eco.evaluation.drift import MeanBound, ShareMonitor
from eco.strategies.certification import Measure, NotCertified
from eco.strategies.decisions import decide
from eco.strategies.names import CERTIFIED as CERTIFIED_NAME
from eco.strategies.names import strategy_name
from eco.strategies.strategy import Strategy
from eco.workflow import params
from eco.workflow.artifacts import CERTIFIED
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params
from eco.workflow.selection import made_for, named_strategies

Array = NDArray[Any]

#: Chose neither models nor thresholds, so its shares are those to expect.
REFERENCE = "test"
#: Status at the end after an alarm.
ALARM = 3
#: Share of the last model's answers that may differ between two runs on the same images.
SLACK = 0.01
EXAMPLES = """\b
Examples:
  eco monitor monday.csv tuesday.csv
  eco monitor answers.npz -s 'tuned to lose 0.5' --alpha 0.01
  eco monitor answers.csv --labels labels.npy --last always-extra.csv
"""
FILE = click.Path(path_type=Path)
OPEN_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
LEVEL = "Probability of a false alarm, and of a wrong bound, over the whole stream."
BATCH_SIZE = "Samples between two looks."
LABELS = "True labels of the first samples, IDX or .npy; -1 where not known yet."
LAST = "Answers of the last model to the labelled samples, for the loss itself."


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("files", metavar="ANSWERS...", nargs=-1, required=True, type=FILE)
@click.option("-s", "--strategy", "name", default="chosen", help="The one that gave the answers.")
@click.option("--alpha", type=OPEN_SHARE, default=0.001, help=LEVEL)
@click.option("--batch-size", type=click.IntRange(1, 10_000_000), default=100, help=BATCH_SIZE)
@click.option("--labels", type=FILE, help=LABELS)
@click.option("--last", type=FILE, help=LAST)
def monitor(
    files: Sequence[Path], name: str, alpha: float, batch_size: int,
    labels: Path | None, last: Path | None,
) -> None:  # fmt: skip
    """Test whether a strategy's models answer the shares that they do on the test images.

    ANSWERS are files that `eco predict -o` wrote, in the order of time. Drift that changes how many
    samples each model answers needs no labels to be found. With labels there are bounds on wrong
    answers, and with the last model's answers on loss and harm, which a certificate limits.

    The status is 3 after an alarm, which is that the shares are others, or that the loss or the
    harm is above what is certified. Otherwise it is 0.
    """
    if math.isnan(alpha):  # which is in every range
        raise click.UsageError("--alpha must be a number; got nan.")
    if last is not None and labels is None:
        raise click.UsageError("--last takes --labels, too.")
    settings = params.load()
    strategy = find_strategy(settings, name)
    answers, expected = read_answers(files, strategy.models), _expected(settings, strategy)
    shares = ShareMonitor(expected.counts, alpha)
    for start in range(0, len(answers), batch_size):
        batch = answers.answered_by[start : start + batch_size]
        shares.update(np.bincount(batch, minlength=len(expected.counts)))
    click.echo(f"{name}: {strategy.describe()}")
    click.echo("\n".join(_summary(strategy, answers, expected, shares)))
    broken = False
    if labels is not None:
        y = _load_labels(labels, len(answers))
        rows = list(_bounded(settings, strategy, answers, expected, y, last, alpha))
        head = (f"of {(y >= 0).sum():,} labelled", "%", f"bounds at {100 * (1 - alpha):.10g} %", "")
        click.echo("\n" + aligned(head, [row.cells() for row in rows]))
        broken = any(row.broken for row in rows)
    if shares.alarm or broken:
        click.echo(f"\n{_advice(settings)}")
        click.get_current_context().exit(ALARM)


@dataclass(frozen=True)
class _Expected:
    """What a strategy does on the reference."""

    counts: Array  #: (n_models,) samples by the model that answered, in the strategy's order.
    confidence: float
    accuracy: float


def _expected(settings: Params, strategy: Strategy) -> _Expected:
    outcomes = load_outcomes(settings, REFERENCE, routers=strategy.router is not None)
    decisions = decide(strategy, outcomes)
    counts = np.bincount(decisions.answered_by, minlength=len(outcomes.pool))
    confidence = outcomes.confidence[np.arange(len(outcomes)), decisions.answered_by]
    return _Expected(
        counts[[outcomes.pool.index(model) for model in strategy.models]],
        float(confidence.mean()),
        float(decisions.correct(outcomes).mean()),
    )


def _summary(
    strategy: Strategy, answers: AnswerColumns, expected: _Expected, shares: ShareMonitor
) -> Iterator[str]:
    n, held_out = shares.n_samples, int(expected.counts.sum())
    rows = [
        [model, f"{now:.2%}", f"{before:.2%}"]
        for model, now, before in zip(
            strategy.models, shares.counts / n, expected.counts / held_out, strict=True
        )
    ]
    rows.append(["confidence", f"{answers.confidence.mean():.4f}", f"{expected.confidence:.4f}"])
    yield aligned(("answered by", f"{n:,} samples", f"{held_out:,} {REFERENCE} images"), rows)
    yield f"e-value {shares.e_value:.3g}, alarm from {1 / shares.alpha:,.10g} on"
    yield f"alarm at sample {shares.alarm_at:,}" if shares.alarm_at else "alarm none"
    yield (
        "Not seen: what leaves the shares as they are. The mean confidence is no alarm: models "
        "can be sure of images that they can't read."
    )


def _load_labels(path: Path, n_answers: int) -> Array:
    y = read_labels(path)
    if len(y) > n_answers:
        raise DataError(
            f"{shortened(path)} has {len(y):,} labels, more than the {n_answers:,} answers",
            "Name the labels of these samples, in their order.",
        )
    return y


@dataclass(frozen=True)
class _Bounded:
    """A mean in percent with its bounds, and what it is compared with."""

    name: str
    bound: MeanBound
    limit: float | None  #: What a certificate says that it is at most.
    comparison: str

    @property
    def broken(self) -> bool:
        """Whether the mean is above its limit, but for the probability of a wrong bound."""
        return self.limit is not None and 100 * self.bound.lower > self.limit

    def cells(self) -> list[str]:
        """A row of the table."""
        low, mean, high = (100 * x for x in (self.bound.lower, self.bound.mean, self.bound.upper))
        comparison = self.comparison
        if self.limit is not None:
            verdict = "holds" if high <= self.limit else "broken" if self.broken else "undecided"
            comparison = f"certified {self.limit:g}: {verdict}"
        return [self.name, f"{mean:.2f}", f"[{low:.2f}, {high:.2f}]", comparison]


def _bounded(
    settings: Params, strategy: Strategy, answers: AnswerColumns, expected: _Expected,
    y: Array, last: Path | None, alpha: float,
) -> Iterator[_Bounded]:  # fmt: skip
    """Errors, and with the last model's answers loss and harm, of samples whose label is known."""
    known = np.flatnonzero(y >= 0)
    wrong = (answers.label[known] != y[known]).astype(int)
    held_out = f"{100 * (1 - expected.accuracy):.2f} on {REFERENCE}"
    yield _Bounded("wrong answers", _bound(wrong, alpha), None, held_out)
    if last is not None:
        by_last = (_last_labels(settings, strategy, answers, len(y), last)[known] != y[known]) * 1
        limits = _certified_limits(settings, strategy)
        lost, harmed = _bound(wrong - by_last, alpha, -1.0), _bound(wrong * (1 - by_last), alpha)
        yield _Bounded("points lost", lost, limits.get("loss"), "not certified")
        yield _Bounded("points harmed", harmed, limits.get("harm"), "not certified")


def _bound(losses: Array, alpha: float, low: float = 0.0) -> MeanBound:
    bound = MeanBound(alpha, low)
    bound.update(losses)
    return bound


def _last_labels(
    settings: Params, strategy: Strategy, answers: AnswerColumns, n: int, last: Path
) -> Array:
    """Labels by the last model of the first `n` samples, (n,)."""
    model = settings.pool[-1]
    others, name = read_answers([last], [model]), shortened(last)
    make = f"Make it: eco predict INPUT -s '{strategy_name('model', model)}' -o FILE"
    if len(others) < n:
        raise DataError(f"{name} answers {len(others):,} of {n:,} labelled samples", make)
    by_last = np.array([one == model for one in strategy.models])[answers.answered_by[:n]]
    if by_last.any() and (answers.label[:n] != others.label[:n])[by_last].mean() > SLACK:
        problem = f"{name} is of other samples: where {model} answered before, labels differ"
        raise DataError(problem, make)
    return others.label[:n]


def _certified_limits(settings: Params, strategy: Strategy) -> dict[Measure, float]:
    """Points of loss and of harm that the strategy is certified for, where it is."""
    goal, certified = settings.certification, CERTIFIED.load(made_for=made_for(settings))
    limits: dict[Measure, float] = {"loss": goal.max_loss, "harm": goal.max_harm}
    return {
        of: limit
        for of, limit in limits.items()
        for result in certified[of].values()
        if not isinstance(result, NotCertified) and result.strategy == strategy
    }


def _advice(settings: Params) -> str:
    """What to answer with until the cause is known."""
    name = strategy_name("model", settings.pool[-1])
    others = f" or -s {CERTIFIED_NAME}" if CERTIFIED_NAME in named_strategies(settings) else ""
    return (
        f"Until the cause is known: eco predict INPUT -s '{name}', from which losses are counted,"
        f"{others}. Both, too, were judged on held-out images."
    )
