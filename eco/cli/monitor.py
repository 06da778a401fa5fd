"""`eco monitor`: whether a strategy's models still answer the shares that they did held out."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from eco.cli.answers import AnswerColumns, read_answers
from eco.cli.options import FiniteRange
from eco.cli.show import aligned
from eco.cli.strategies import find_strategy
from eco.data.streams import read_labels
from eco.errors import DataError, shortened
from eco.evaluation.drift import MeanBound, ShareMonitor
from eco.strategies.certification import MEASURES, Measure, NotCertified
from eco.strategies.decisions import decide
from eco.strategies.names import strategy_name
from eco.strategies.strategy import Strategy, always
from eco.workflow import params
from eco.workflow.artifacts import CERTIFIED, LABELS
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params
from eco.workflow.selection import made_for

Array = NDArray[Any]
#: Makes a row of losses, and says whether a certificate is broken.
Bounded = Callable[..., tuple[list[str], bool]]

#: Chose neither models nor thresholds, so its shares aren't those of a selection.
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
ADVICE = (
    "Until the cause is known: eco predict INPUT -s '{}', from which losses are counted, or -s "
    "certified, where eco show lists it. Both, too, were judged on held-out images."
)
FILE = click.Path(path_type=Path)
OPEN_SHARE = FiniteRange(0, 1, min_open=True, max_open=True)
LEVEL = "Probability of a false alarm, and of a wrong bound, over the whole stream."
BATCH_SIZE = "Samples between two looks."
TRUTH = "True labels of the first samples, IDX or .npy; -1 where not known yet."
LAST = "Answers of the last model to the labelled samples, for the loss itself."


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("files", metavar="ANSWERS...", nargs=-1, required=True, type=FILE)
@click.option("-s", "--strategy", "name", default="chosen", help="The one that gave the answers.")
@click.option("--alpha", type=OPEN_SHARE, default=0.001, help=LEVEL)
@click.option("--batch-size", type=click.IntRange(1, 10_000_000), default=100, help=BATCH_SIZE)
@click.option("--labels", type=FILE, help=TRUTH)
@click.option("--last", type=FILE, help=LAST)
def monitor(
    files: Sequence[Path], name: str, alpha: float, batch_size: int,
    labels: Path | None, last: Path | None,
) -> None:  # fmt: skip
    """Test whether a strategy's models answer the shares that they do on the test images.

    ANSWERS are files that `eco predict -o` wrote, in the order of time. A shift that changes how
    many samples each model answers needs no labels to be found. With labels there are bounds on
    wrong answers, and with the last model's answers on loss and harm, which a certificate limits.

    The status is 3 after an alarm, which is that the shares are others, or that the loss or the
    harm is above what is certified. Otherwise it is 0.
    """
    if last is not None and labels is None:
        raise click.UsageError("--last takes --labels, too.")
    settings = params.load()
    strategy = find_strategy(settings, name)
    answers = read_answers(files, name, strategy, _n_classes(settings))
    held_out, y_held_out = load_held_out(settings, strategy)
    shares = ShareMonitor(np.bincount(held_out.answered_by, minlength=len(strategy.models)), alpha)
    for start in range(0, len(answers), batch_size):
        batch = answers.answered_by[start : start + batch_size]
        shares.update(np.bincount(batch, minlength=len(strategy.models)))
    rows = []
    if labels is not None:
        y = _load_labels(labels, len(answers), _n_classes(settings))
        error = float(np.mean(held_out.label != y_held_out))
        bounded = partial(_bounded, alpha, batch_size)
        rows = list(_labelled(settings, strategy, answers, y, last, bounded, error))
    click.echo(f"{name}: {strategy.describe()}")
    click.echo("\n".join(_summary(strategy, answers, held_out, shares)))
    if labels is not None:
        head = (f"of {(y >= 0).sum():,} labelled", "%", f"bounds at {100 * (1 - alpha):.10g} %", "")
        click.echo("\n" + aligned(head, [cells for cells, _ in rows]))
    if shares.alarm or any(is_broken for _, is_broken in rows):
        click.echo("\n" + ADVICE.format(strategy_name("model", settings.pool[-1])))
        click.get_current_context().exit(ALARM)


def load_held_out(settings: Params, strategy: Strategy) -> tuple[AnswerColumns, Array]:
    """A strategy's answers to the reference, and the labels."""
    outcomes = load_outcomes(settings, REFERENCE, routers=strategy.router is not None)
    by, rows = decide(strategy, outcomes).answered_by, np.arange(len(outcomes))
    places = {model: place for place, model in enumerate(strategy.models)}
    in_strategy = np.array([places.get(model, -1) for model in outcomes.pool])
    columns = outcomes.labels[rows, by], outcomes.confidence[rows, by], in_strategy[by]
    return AnswerColumns(*columns), outcomes.y


def _summary(
    strategy: Strategy, answers: AnswerColumns, held_out: AnswerColumns, shares: ShareMonitor
) -> Iterator[str]:
    now, before = shares.counts / len(answers), shares.reference / len(held_out)
    cells = zip(strategy.models, now, before, strict=True)
    rows = [[model, *(f"{share:.2%}" for share in both)] for model, *both in cells]
    rows.append(["confidence", *(f"{one.confidence.mean():.4f}" for one in (answers, held_out))])
    head = f"{len(answers):,} samples", f"{len(held_out):,} {REFERENCE} images"
    yield aligned(("answered by", *head), rows)
    yield f"e-value {shares.e_value:.3g}, alarm from {1 / shares.alpha:,.10g} on"
    yield f"alarm at sample {shares.alarm_at:,}" if shares.alarm else "alarm none"
    yield (
        "Not seen: what leaves the shares as they are. The mean confidence is no alarm: models "
        "can be sure of images that they can't read."
    )


def _n_classes(settings: Params) -> int:
    return len(LABELS.load(dataset=settings.data.name).class_names)


def _load_labels(path: Path, n_answers: int, n_classes: int) -> Array:
    """Labels of the first samples, negative where not known."""
    y = read_labels(path)
    if len(y) > n_answers or not -1 < y.max(initial=-1) < n_classes:
        raise DataError(
            f"{shortened(path)} must hold labels from 0 to {n_classes - 1}, -1 where not known, of "
            f"some of the {n_answers:,} samples; got {len(y):,} up to {y.max(initial=-1)}",
            "Name the labels of these samples, in their order.",
        )
    return y


def _labelled(
    settings: Params, strategy: Strategy, answers: AnswerColumns, y: Array, last: Path | None,
    bounded: Bounded, held_out_error: float,
) -> Iterator[tuple[list[str], bool]]:  # fmt: skip
    """Rows of wrong answers and, with the last model's answers, of loss and harm."""
    known = np.flatnonzero(y >= 0)
    wrong = (answers.label[known] != y[known]).astype(int)
    yield bounded(f"wrong answers ({held_out_error:.2%} of {REFERENCE})", wrong)
    if last is not None:
        labels = _load_last(settings, strategy, answers, last, len(y))
        by_last = (labels[known] != y[known]).astype(int)
        of_measures = (wrong - by_last, -1.0), (wrong * (1 - by_last), 0.0)
        for of, (losses, low) in zip(MEASURES, of_measures, strict=True):
            yield bounded(f"points of {of}", losses, _limit(settings, strategy, of), low)


def _load_last(
    settings: Params, strategy: Strategy, answers: AnswerColumns, path: Path, n: int
) -> Array:
    """The last model's labels of the first `n` samples, (n,)."""
    model, file = settings.pool[-1], shortened(path)
    name = strategy_name("model", model)
    make = f"--last takes answers of {name}: eco predict INPUT -s '{name}' -o FILE"
    others = read_answers([path], name, always(model), _n_classes(settings), make)
    if len(others) < n:
        raise DataError(f"{file} answers {len(others):,} of {n:,} labelled samples", make)
    by_last = np.array([one == model for one in strategy.models])[answers.answered_by[:n]]
    if by_last.any() and (answers.label[:n] != others.label[:n])[by_last].mean() > SLACK:
        problem = f"{file} is of other samples: where {model} answered before, labels differ"
        raise DataError(problem, make)
    return others.label[:n]


def _bounded(
    alpha: float, batch_size: int, name: str, losses: Array, limit: float | None = None,
    low: float = 0.0,
) -> tuple[list[str], bool]:  # fmt: skip
    """A row of the table, in percent, and whether the mean was ever above what is certified."""
    bound, broken_at = MeanBound(alpha, low), None
    for start in range(0, len(losses), batch_size):
        bound.update(losses[start : start + batch_size])
        if limit is None or broken_at is not None or 100 * bound.mean <= limit:
            continue  # a mean within the limit has a lower bound within it
        if 100 * bound.lower > limit:
            broken_at = min(start + batch_size, len(losses))
    mean, least, most = (100 * figure for figure in (bound.mean, bound.lower, bound.upper))
    verdict = ""
    if limit is not None:
        broken = broken_at and f"broken from labelled sample {broken_at:,} on"
        state = broken or ("holds" if most <= limit else "undecided")
        verdict = f"at most {limit:g} certified: {state}"
    return [name, f"{mean:.2f}", f"[{least:.2f}, {most:.2f}]", verdict], broken_at is not None


def _limit(settings: Params, strategy: Strategy, of: Measure) -> float | None:
    """Points of loss or of harm that the strategy is certified for, if it is."""
    results = CERTIFIED.load(made_for=made_for(settings))[of].values()
    found = [one.strategy for one in results if not isinstance(one, NotCertified)]
    goal = settings.certification
    return {"loss": goal.max_loss, "harm": goal.max_harm}[of] if strategy in found else None
