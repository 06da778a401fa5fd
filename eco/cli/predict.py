"""`eco predict`: answer samples with a strategy, and say what that cost."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from tqdm import tqdm

from eco.cli import engines, folders, many, writers
from eco.cli.answering import Reference, Runner, answer, described, summary
from eco.cli.inputs import PIPE, SPLITS, open_input
from eco.cli.realised import meter_run, realised_lines
from eco.cli.strategies import find_strategy, load_strategy, warn_of_changed_models
from eco.data import lines
from eco.data.streams import Samples
from eco.errors import DataError, FileError
from eco.strategies.strategy import always
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_probabilities
from eco.workflow.schema import Params

EXAMPLES = """\b
Examples:
  eco predict test
  eco predict images.npy -o answers.csv
  eco predict images.npz -s 'tuned to lose 0.5' -o answers.parquet --compare
  eco predict many.npy -s 'tuned to lose 0.5' --measure
  eco predict t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
  eco predict customers.csv -o answers.csv
  eco predict 'folder/*.npy' -o answers/ --workers 2
  eco predict 's3://bucket/*.npy' -o s3://bucket/answers/ --engine ray
  tail -f images.jsonl | eco predict - > answers.jsonl
"""
OUTPUT = (
    f"File for the answers: {', '.join(writers.FORMATS)}; a folder for those of many INPUTs; - for "
    "standard output. Missing folders are created. Without it, totals only, or standard output "
    "where INPUT is -."
)
FORMAT = "Format in a folder (default: csv), or on standard output (csv, or jsonl as INPUT is)."
BATCH_SIZE = "Samples answered at a time, fewer where they would take much memory."
MEASURE = "Read the energy of this run with CodeCarbon, beside what is modelled for it."
WORKERS = "Cores that work in parallel: the same answers, sooner where models take the time."
ENGINE = "What works on many INPUTs: local processes, or the cores of a cluster."
FORMS = [suffix.removeprefix(".") for suffix in writers.FORMATS]


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("sources", metavar="INPUT...", nargs=-1, required=True)
@click.option("-s", "--strategy", "name", default="chosen", help="A name that `eco show` lists.")
@click.option("-o", "--output", help=OUTPUT)
@click.option("--format", "form", type=click.Choice(FORMS), help=FORMAT)
@click.option("--labels", type=click.Path(path_type=Path), help="Labels of INPUT, IDX or .npy.")
@click.option("--batch-size", type=click.IntRange(1, 10_000_000), default=4096, help=BATCH_SIZE)
@click.option("--workers", type=click.IntRange(1, 256), default=1, help=WORKERS)
@click.option(
    "--engine", type=click.Choice(("local", *engines.ENGINES)), default="local", help=ENGINE
)
@click.option("--compare", is_flag=True, help="Run the last model as well, for the accuracy lost.")
@click.option("--measure", is_flag=True, help=MEASURE)
def predict(
    sources: tuple[str, ...], name: str, output: str | None, form: str | None,
    labels: Path | None, batch_size: int, workers: int, engine: str, compare: bool, measure: bool,
) -> None:  # fmt: skip
    """Answer the samples of INPUT, and say what that cost.

    INPUT is .npy or .npz (X and perhaps y) or IDX, with uint8 images (n, height, width), in colour
    (n, height, width, 3). In a study of a table or of texts it is .csv, .csv.gz or .parquet with
    the columns that were trained on, or .npy or .npz of what data/encoding.json makes of them. Or
    it is a split of the study: train, calibration, tuning, certification, test. It may be larger
    than memory. The strategy is the cascade that params.yaml chooses, or any that `eco show` lists.

    - is standard input: .npy, or a sample on each line, as JSON: an image [[0, 255], [17, 4]] or
    {"x": [[0, 255], [17, 4]], "id": "a"}, a row {"age": 41, "city": null}, a text "so dear" or
    {"text": "so dear"}. Answers are written as they come, totals to standard error.

    Accuracy is said where labels are known: of --labels, y of an .npz, or the column data.target.
    A column id stands in the answers.

    Of several files, a folder or a 'pattern*.npy', each is answered into a file of its own in the
    folder --output, which also gets manifest.json. What is there already, from the same input,
    strategy and models, is kept: run it again after it was stopped. s3:// and gs:// name stores.

    Joules are those measured for each model that ran, and for the router, at energy.batch_size;
    --measure sets those of this run beside them, which takes half a second of CPU time or more.
    """
    if compare and measure:
        raise click.UsageError("--measure reads all that runs, so leave out --compare.")
    if engine != "local" and (workers > 1 or not _is_many(sources, output)):
        raise click.UsageError("--engine is for many files, and takes all cores of its cluster.")
    settings = params.load()
    if not _is_many(sources, output):
        one = _One(sources[0], labels, output, form, compare, measure)
        _predict_one(settings, name, one, batch_size, workers)
    elif output is None or not _takes_many(output) or PIPE in sources:
        raise click.UsageError(
            "Several files take a folder for their answers, and so do those of a store: -o answers/"
        )
    elif labels or compare or measure:
        raise click.UsageError("--labels, --compare and --measure take one INPUT and no folder.")
    else:
        for split in filter(SPLITS.__contains__, sources):  # missing, or of another data set
            artifacts.SPLITS.load(split=split, dataset=settings.data.name)
        strategy, suffix = find_strategy(settings, name), f".{form or 'csv'}"
        warn_of_changed_models([strategy])
        folder = folders.open_folder(output)
        task = many.Task(settings, name, strategy, folder, suffix, batch_size)
        paths = [str(artifacts.SPLITS.path(split=s)) if s in SPLITS else s for s in sources]
        many.predict_many(task, paths, workers, engine)


def _is_many(sources: Sequence[str], output: str | None) -> bool:
    if len(sources) > 1 or (output is not None and many.is_folder(output)):
        return True
    return sources[0] not in (*SPLITS, PIPE) and many.names_many(sources[0])


def _takes_many(output: str) -> bool:
    is_file = output == PIPE or Path(output).suffix in writers.FORMATS
    return many.is_folder(output) or not is_file


def _path(source: str) -> Path:
    return artifacts.SPLITS.path(split=source) if source in SPLITS else Path(source)


@dataclass(frozen=True)
class _One:
    """One INPUT, and what is wanted of it."""

    source: str
    labels: Path | None
    output: str | None
    form: str | None
    compare: bool
    measure: bool

    @property
    def piped(self) -> bool:
        """Whether answers go to standard output."""
        return self.output == PIPE or (self.output is None and self.source == PIPE)

    def check(self) -> None:
        """Refuse a place or a format for the answers before any work is done."""
        if self.form is not None and not self.piped:
            raise click.UsageError("--format goes with a folder or -; a file's ending says it.")
        if self.form is not None and f".{self.form}" not in writers.STREAMED:
            raise click.UsageError("Standard output takes --format csv or jsonl.")
        if self.output is not None and not self.piped:
            inputs = [] if self.source == PIPE else [_path(self.source)]
            writers.check_output(Path(self.output), [*inputs, *filter(None, [self.labels])])


def _predict_one(settings: Params, name: str, one: _One, batch_size: int, workers: int) -> None:
    one.check()
    strategy, reading = find_strategy(settings, name), None
    warn_of_changed_models([strategy, *([always(settings.pool[-1])] if one.compare else [])])
    with open_input(settings, one.source, one.labels) as samples:
        runner = Runner(settings, strategy, workers)
        runner.check(lines.NAME if one.source == PIPE else one.source, samples.shape)
        reference = _load_reference(settings, one, samples)
        with (
            _open_output(one, samples, runner.names) as write,
            tqdm(total=samples.n, unit=" samples", disable=None, file=sys.stderr) as bar,
        ):
            work = partial(answer, samples, runner, reference, batch_size, write, bar.update)
            if one.measure:
                totals, reading = meter_run(settings, work)
            else:
                totals = work()
    report = [described(name, strategy), *summary(settings, strategy, totals)]
    if reading is not None:
        report += realised_lines(reading, totals.energy_j, totals.n)
    if one.output is not None and not one.piped:
        report.append(f"answers in {one.output}")
    click.echo("\n".join(report), err=one.piped)


@contextmanager
def _open_output(
    one: _One, samples: Samples, names: writers.Names
) -> Iterator[writers.Write | None]:
    suffix = Path(one.output or "").suffix
    if one.piped:
        # Lines have no number that is known beforehand.
        are_lines = one.source == PIPE and samples.n is None
        suffix = f".{one.form}" if one.form else ".jsonl" if are_lines else ".csv"
        with writers.to_stream(sys.stdout.buffer, suffix, names) as write:
            yield write
    elif one.output is None:
        yield None
    elif samples.identified and suffix not in writers.IDENTIFIED:
        formats = ", ".join(writers.IDENTIFIED)
        raise FileError(f"{one.output} can't hold ids", f"Write one of {formats}.")
    else:
        with writers.open_output(Path(one.output), names) as write:
            yield write


def _load_reference(settings: Params, one: _One, samples: Samples) -> Reference | None:
    """Labels by the last model: stored ones of a split, or its own with --compare."""
    last, dataset = settings.pool[-1], settings.data.name
    if one.source in artifacts.PREDICTED:
        stored = load_probabilities([last], one.source, dataset)[:, 0].argmax(axis=1)
        return lambda start, X: stored[start : start + len(X)]
    if not one.compare:
        return None
    if not samples.labelled:
        source = lines.NAME if one.source == PIPE else one.source
        remedy = "Name a file of --labels."
        if samples.n is None and one.source == PIPE:
            remedy = "Lines have none: pipe .npy, and name a file of --labels."
        raise DataError(f"{source} has no labels to --compare with", remedy)
    run = load_strategy(settings, always(last))
    return lambda _, X: run(X).labels
