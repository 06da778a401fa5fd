"""`eco predict`: answer images with a strategy, and say what that cost."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eco.cli import writers
from eco.cli.realised import meter_run, realised_lines
from eco.cli.strategies import (
    Run,
    find_strategy,
    load_class_names,
    load_energy_j,
    load_runner,
    load_strategy,
)
from eco.data import streams
from eco.energy.machine import origin
from eco.errors import DataError, FileError
from eco.evaluation.footprint import per_thousand
from eco.strategies.strategy import Strategy, always
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_probabilities
from eco.workflow.schema import Params

Array = NDArray[Any]
#: From the position of a batch's first image, and the batch, to labels.
Reference = Callable[[int, Array], Array]

SPLITS = ("train", *artifacts.PREDICTED)
EXAMPLES = """\b
Examples:
  eco predict test
  eco predict images.npy -o answers.csv
  eco predict images.npz -s 'tuned to lose 0.5' -o answers.parquet --compare
  eco predict many.npy -s 'tuned to lose 0.5' --measure
  eco predict t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
"""
OUTPUT = (
    f"File for the answers: {', '.join(writers.FORMATS)}. Missing folders are created. Without it, "
    "totals only."
)
BATCH_SIZE = "Images answered at a time, fewer where they would take much memory."
MEASURE = "Read the energy of this run with CodeCarbon, beside what is modelled for it."
WORKERS = "Cores that work in parallel: the same answers, sooner where models take the time."


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("source", metavar="INPUT")
@click.option("-s", "--strategy", "name", default="chosen", help="A name that `eco show` lists.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=OUTPUT)
@click.option("--labels", type=click.Path(path_type=Path), help="Labels of INPUT, IDX or .npy.")
@click.option("--batch-size", type=click.IntRange(1, 10_000_000), default=4096, help=BATCH_SIZE)
@click.option("--workers", type=click.IntRange(1, 256), default=1, help=WORKERS)
@click.option("--compare", is_flag=True, help="Run the last model as well, for the accuracy lost.")
@click.option("--measure", is_flag=True, help=MEASURE)
def predict(
    source: str, name: str, output: Path | None, labels: Path | None, batch_size: int,
    workers: int, compare: bool, measure: bool,
) -> None:  # fmt: skip
    """Answer the images of INPUT, and say what that cost.

    INPUT is .npy or .npz (X and perhaps y) or IDX, with uint8 images (n, height, width), or a
    split of the study: train, calibration, tuning, certification, test. It may be larger than
    memory. The strategy is the cascade that params.yaml chooses, or any that `eco show` lists.

    Joules are those measured for each model that ran, and for the router, at energy.batch_size;
    --measure sets those of this run beside them, which takes half a second of CPU time or more.
    """
    if compare and measure:
        raise click.UsageError("--measure reads all that runs, so leave out --compare.")
    settings, reading = params.load(), None
    if output is not None:
        path = artifacts.IMAGES.path(split=source) if source in SPLITS else Path(source)
        writers.check_output(output, [path, labels or path])
    strategy = find_strategy(settings, name)
    with _open_source(settings, source, labels) as samples:
        run, class_names = _load_runner(settings, strategy, source, samples.shape, workers)
        reference = _load_reference(settings, source, samples.labelled, compare)
        names = writers.Names(class_names, strategy.models)
        writer = nullcontext(None) if output is None else writers.open_output(output, names)
        with writer as write:
            work = partial(_predict, samples, run, names, reference, batch_size, write)
            if measure:
                totals, reading = meter_run(settings, work)
            else:
                totals = work()
    description = strategy.describe()
    click.echo(name if description == name else f"{name}: {description}")
    click.echo("\n".join(_summary(settings, strategy, totals)))
    if reading is not None:
        n = int(totals.answered.sum())
        click.echo("\n".join(realised_lines(reading, totals.energy_j, n)))
    if output is not None:
        click.echo(f"answers in {output}")


@dataclass
class _Totals:
    """Sums over the samples; what needs labels is None without them."""

    answered: Array
    energy_j: float = 0.0
    correct: int | None = None
    reference_correct: int | None = None
    seconds: float = 0.0


def _predict(
    samples: streams.Samples, run: Run, names: writers.Names, reference: Reference | None,
    batch_size: int, write: writers.Write | None,
) -> _Totals:  # fmt: skip
    """Answer every sample, write the answers, and add up."""
    totals = _Totals(np.zeros(len(names.models), np.int64))
    start, begin = 0, time.perf_counter()
    with tqdm(total=samples.n, unit=" images", disable=None, file=sys.stderr) as bar:
        for X, y in samples.batches(batch_size, len(names.classes)):
            answers, energy_j = run(X)
            labels, answered_by = answers.labels, answers.answered_by
            if write is not None:
                write({
                    "index": np.arange(start, start + len(X)),
                    "label": labels,
                    "confidence": answers.confidence,
                    "answered_by": answered_by,
                    "energy_j": energy_j,
                })  # fmt: skip
            totals.energy_j += float(energy_j.sum())
            totals.answered += np.bincount(answered_by, minlength=len(totals.answered))
            if y is not None:
                totals.correct = (totals.correct or 0) + int((labels == y).sum())
                if reference is not None:
                    correct = int((reference(start, X) == y).sum())
                    totals.reference_correct = (totals.reference_correct or 0) + correct
            start += len(X)
            bar.update(len(X))
    totals.seconds = time.perf_counter() - begin
    return totals


def _summary(settings: Params, strategy: Strategy, totals: _Totals) -> Iterator[str]:
    """The totals, line by line."""
    n, last = int(totals.answered.sum()), settings.pool[-1]
    yield f"samples            {n:,}"
    if totals.correct is not None:
        yield f"accuracy           {totals.correct / n:.2%}"
        if totals.reference_correct is not None:
            loss = 100 * (totals.reference_correct - totals.correct) / n
            accuracy = totals.reference_correct / n
            yield f"points lost        {loss:.2f} (always {last}: {accuracy:.2%})"
    (reference_j,) = load_energy_j(settings, [last])
    yield f"energy             {totals.energy_j:.4g} J, {totals.energy_j / n:.4g} J per sample"
    yield f"share of {last:9} {totals.energy_j / n / reference_j:.4f}"
    provenance = artifacts.ENERGY.load().provenance
    grid, country = provenance["grid_g_co2e_per_kwh"], provenance.get("country")
    emitted_g = per_thousand(totals.energy_j, grid)["g_co2e_per_1000"] / 1000
    yield f"emissions          {emitted_g:.3g} g CO2e at {grid:g} g/kWh ({country})"
    shares = zip(strategy.models, totals.answered / n, strict=True)
    yield f"answered by        {', '.join(f'{model} {share:.2%}' for model, share in shares)}"
    yield f"time               {totals.seconds:.2f} s, {n / totals.seconds:,.0f} images/s"
    yield (
        f"(joules as measured at batch size {settings.energy.batch_size} on "
        f"{origin(provenance)}, mode {provenance.get('mode')})"
    )


@contextmanager
def _open_source(settings: Params, source: str, labels: Path | None) -> Iterator[streams.Samples]:
    if source not in SPLITS:
        with streams.open_samples(Path(source), labels) as samples:
            yield samples
    elif labels is not None:
        raise DataError(f"the split {source} has labels of its own", "Leave out --labels.")
    else:
        X, y = artifacts.IMAGES.load(split=source, dataset=settings.data.name)
        yield streams.from_arrays(X, y)


def _load_runner(
    settings: Params, strategy: Strategy, source: str, shape: tuple[int, ...], workers: int
) -> tuple[Run, Sequence[str]]:
    """A strategy and its class names, once it has answered a black image of the shape."""
    run = load_runner(settings, strategy, workers)
    try:
        n_classes = run(np.zeros((1, *shape), np.uint8))[0].probabilities.shape[1]
    except FileError:
        raise DataError(
            f"{source} has images of {' x '.join(map(str, shape))}, which these models don't take",
            "Use images of the size that the models were trained on, or train them on such images "
            "(data.path).",
        ) from None
    return run, load_class_names(settings, strategy, n_classes)


def _load_reference(
    settings: Params, source: str, labelled: bool, compare: bool
) -> Reference | None:
    """Labels by the last model: stored ones of a split, or its own with --compare."""
    last, dataset = settings.pool[-1], settings.data.name
    if source in artifacts.PREDICTED:
        stored = load_probabilities([last], source, dataset)[:, 0].argmax(axis=1)
        return lambda start, X: stored[start : start + len(X)]
    if not compare:
        return None
    if not labelled:
        raise DataError(f"{source} has no labels to --compare with", "Name a file of --labels.")
    run = load_strategy(settings, always(last))
    return lambda _, X: run(X).labels
