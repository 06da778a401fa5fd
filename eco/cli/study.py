"""`eco study`: what strategies make of predictions that somebody has already."""

import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from eco.atomic import replacing_folder
from eco.cli.options import FiniteRange
from eco.errors import DataError, EcoError, FileError, shortened
from eco.strategies.metrics import NAMES

if TYPE_CHECKING:
    from eco.predictions.study import Study

#: What the results of this command say of themselves.
MADE_BY = "eco study"
EXAMPLES = """\b
Examples:
  eco study predictions.npz --unit J
  eco study answers.csv --cost mini=0.15 --cost max=10 --unit USD --output study
  eco study table.parquet --cost-budget 0.2 --max-harm 1
  eco study predictions.npz --metric balanced_accuracy --max-class-loss 2
"""


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the results; FILE without its ending, and '-study', by default.",
)
@click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Cost of a model, in place of those in the file: once for each model of the "
    "pool, in its order. The last is what losses are counted from.",
)
@click.option("--unit", default="units", help="Unit of the costs: J, ms, USD, tokens, ...")
@click.option(
    "--signal",
    type=click.Choice(["max_probability", "margin", "entropy"]),
    default="max_probability",
    help="Confidence that is made of probabilities.",
)
@click.option(
    "--max-accuracy-loss", type=float, default=0.5, help="Points of accuracy below the last model."
)
@click.option(
    "--metric",
    type=click.Choice(NAMES),
    default="accuracy",
    help="What is tuned for and certified; all but accuracy take probabilities.",
)
@click.option(
    "--cost-matrix",
    type=click.Path(path_type=Path),
    help="Instead of a metric: a .csv with a row for each true class, a column for each answered "
    "one, and their names in the first column and row.",
)
@click.option("--pos-label", help="Class that f1 is of; 1 by default.")
@click.option(
    "--max-metric-loss",
    type=float,
    default=0.5,
    help="In place of --max-accuracy-loss with another metric.",
)
@click.option(
    "--max-class-loss", type=float, help="Further limit: points of accuracy lost in any class."
)
@click.option("--cost-budget", type=float, help="Instead: share of the last model's cost.")
@click.option("--max-loss", type=float, default=0.5, help="Points of loss that are certified.")
@click.option("--max-harm", type=float, default=0.5, help="Points of harm that are certified.")
@click.option(
    "--delta", type=float, default=0.05, help="Probability with which a certificate may be wrong."
)
@click.option(
    "--margin-se",
    type=float,
    default=1.3,
    help="Standard errors between the tuned figure and its limit.",
)
@click.option(
    "--shares",
    type=FiniteRange(0, min_open=True),
    nargs=3,
    default=(0.4, 0.3, 0.3),
    help="Relative sizes of tuning, certification and test, where the file names no splits.",
)
@click.option("--seed", type=click.IntRange(0), default=42, help="Of the random division.")
def study(file: Path, output: Path | None, costs: tuple[str, ...], unit: str, signal: Any,
          shares: tuple[float, float, float], seed: int, cost_matrix: Path | None,
          **goals: Any) -> None:  # fmt: skip
    """Tune, certify and compare cascades from predictions: no training, no images, no DVC.

    FILE is an .npz, a .csv or a .parquet: probabilities, or confidence and correct, of every model,
    and what each costs; docs/your-own.md describes it. The results are a page with an explorer,
    pictures and JSON. A folder that holds anything else is refused.
    """
    from eco.predictions import columns, division, files
    from eco.predictions.goals import Goals
    from eco.predictions.study import run
    from eco.report import predictions as report

    source = click.get_current_context().get_parameter_source
    for name in ("max_accuracy_loss", "max_metric_loss"):
        if goals["cost_budget"] is not None and source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"Give either --{name.replace('_', '-')} or --cost-budget.")
    matrix = None if cost_matrix is None else _table(cost_matrix)
    targets = Goals(**goals, cost_matrix=matrix)
    folder = output or file.parent / f"{file.stem}-study"
    _refuse_others_folder(folder, report.RESULTS, report.FILES)
    samples = columns.checked(files.read(file, _costs(costs)), signal)
    try:
        parts = division.divide(samples, division.SPLITS, shares, seed)
    except DataError as error:
        raise DataError(f"{shortened(file)}: {error.problem}", error.remedy) from None
    unused = "max_metric_loss" if targets.is_accuracy else "max_accuracy_loss"
    names = [field.name for field in fields(targets) if field.name != unused]
    options = {name: getattr(targets, name) for name in names}
    about = {"made_by": MADE_BY, "file": file.name, "unit": unit, "signal": signal, "seed": seed}
    about["division"] = division.division(samples, division.SPLITS)
    about |= {"shares": list(shares), **{key: v for key, v in options.items() if v is not None}}
    with replacing_folder(Path(os.path.realpath(folder))) as new:
        result = run(parts, samples.classes, targets, unit, lambda text: click.echo(text, err=True))
        about["metric"] = result.metric.name
        for name, content in report.contents(result, about):
            (new / name).write_bytes(content)
    click.echo(f"{_sizes(result)}, divided {about['division']}")
    for line in _summary(result):
        click.echo(line)
    click.echo(f"{folder / 'report.html'}: opens in any browser, needs no network")


def _table(path: Path) -> dict[str, dict[str, Any]]:
    """A table with names of rows and columns, by the one and then by the other."""
    import pandas as pd

    try:
        table = pd.read_csv(path, index_col=0)
    except (OSError, ValueError) as error:
        raise FileError(f"{shortened(path)} must be a table as .csv: {error}") from None
    if not (table.index.is_unique and table.columns.is_unique):
        raise FileError(f"{shortened(path)} must name each class once in its rows and columns")
    return {str(name): row for name, row in table.to_dict("index").items()}


def _costs(given: Iterable[str]) -> dict[str, float]:
    """Costs by model, in the order of the pool."""
    costs: dict[str, float] = {}
    for text in given:
        name, separator, number = text.rpartition("=")
        try:
            costs[name] = float(number)
        except ValueError:
            separator = ""
        if not separator or not name:
            raise click.UsageError(f"--cost must be NAME=NUMBER; got {shortened(text, 40)}")
    return costs


def _sizes(result: "Study") -> str:
    sizes = result.n_samples
    return (
        f"{sizes['tuning']:,} samples tune, {sizes['certification']:,} certify, "
        f"{sizes['test']:,} test"
    )


def _summary(result: "Study") -> Iterator[str]:
    last = result.test.pool[-1]
    by_metric = {row["name"]: row for row in result.by_metric if row["strategy"] != "model"}
    for each in result.evaluation.strategies:
        if each.name in ("tuned", *result.certified):
            score = each.score
            yield (
                f"{each.name}: {each.strategy.describe()}: accuracy {score.accuracy.value:.2%}, "
                f"{score.accuracy_loss_points.value:.2f} points lost, at "
                f"{score.energy_share.value:.4f} of the cost of {last}, on test"
            )
            if each.name in by_metric:
                row = by_metric[each.name]
                yield (
                    f"  {result.metric.words} {row['value']:.2%}, {row['loss_points']:.2f} points "
                    f"lost; {row['class_loss_points']:.2f} of the accuracy in class {row['class']}"
                )
            if each.name in result.realised:
                share = result.realised[each.name]["cost_share"]
                yield f"  {share:.4f} as costs were for the samples it met, not on average"
    for name, certificate in result.certified.items():
        if isinstance(certificate, EcoError):
            yield f"{name}: none; {certificate}"
    for first, second in result.misordered:
        yield f"note: {first} costs more than {second}, which comes after it in the pool"


def _refuse_others_folder(folder: Path, results: str, names: Collection[str]) -> None:
    """Refuse to replace a folder that holds anything but a former study of this command."""
    remedy = "Name another folder with --output."
    if not os.path.exists(folder):  # noqa: PTH110 - false, too, for a name that none can have
        return
    if not folder.is_dir():
        raise FileError(f"{shortened(folder)} must be a folder; it is a file", remedy)
    found = sorted(path.name for path in folder.iterdir())
    try:
        values = json.loads((folder / results).read_text(encoding="utf-8"))
        is_former = isinstance(values, dict) and values.get("made_by") == MADE_BY
    except (OSError, ValueError):
        is_former = False
    others = found if not is_former else [name for name in found if name not in names]
    if others:
        raise FileError(
            f"{shortened(folder)} must be empty, or hold a former study and nothing else; got "
            f"{shortened(others[0], 40)}",
            remedy,
        )
