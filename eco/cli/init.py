"""`eco init`: a study of one's own, which runs with the installed package."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click

from eco.cli.inputs import SAMPLES
from eco.cli.options import FiniteRange
from eco.data.files import Reading
from eco.data.kinds import Kind
from eco.data.splits import load_splits
from eco.data.tables import is_table
from eco.errors import ParamsError, shortened
from eco.workflow import new_study
from eco.workflow.contents import Labels, labels_arrays
from eco.workflow.sections import BUILT_IN_DATA, MOST_HELD_OUT, Shares

SHARE = FiniteRange(0, 1, min_open=True, max_open=True)
EXAMPLES = """\b
Examples:
  eco init my-study --data letters.npz
  eco init my-study --data digits --models tiny,slim,extra
  eco init my-study --data customers.csv --target churned
  eco init my-study --data visits.csv --groups patient --shares 0.1 0.2 0.2
  eco init my-study --data reviews.csv --kind text --text review --target stars
"""
DATA = "A file, or a folder of images, as docs/your-own.md says; or digits, or fashion-mnist."
KIND = "What samples are; by default table for .csv and .parquet, else images."
TARGET = "Of .csv and .parquet: the column with the class; by default target."
TEXT = "Of .csv and .parquet: the column with the texts; by default text."
GROUPS = "Of .csv and .parquet: a column of which equal values are in one split."
TIME = "Of .csv and .parquet: a column by which the latest rows are held out."
SHARES = (
    "Shares of what test leaves for calibration, tuning and certification; the rest trains. By "
    "default those of the bundled study of that kind."
)
MODELS = "Models of the pool, separated by commas, light to heavy; all of them by default."


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA)
@click.option("--kind", type=click.Choice(get_args(Kind)), help=KIND)
@click.option("--target", help=TARGET)
@click.option("--text", help=TEXT)
@click.option("--groups", help=GROUPS)
@click.option("--time", help=TIME)
@click.option("--shares", type=SHARE, nargs=3, help=SHARES)
@click.option("--models", help=MODELS)
def init(
    folder: Path, data: str, kind: Kind | None, shares: tuple[float, float, float] | None,
    models: str | None, **columns: str | None,
) -> None:  # fmt: skip
    """Write a study of your own data into FOLDER: settings, pipeline, scripts, README.

    The data are read once, to see whether they can be used. `dvc repro` in FOLDER runs the study.
    """
    new_study.check_folder(folder)
    reading = _reading(data, kind, columns)
    values = new_study.settings(folder, data, models, reading)
    section = values["data"]
    section["shares"] = _shares(shares or section["shares"].values())
    path = data if section["path"] else ""
    splits, classes, _ = load_splits(
        section["name"], path, section["shares"], values["seed"], reading
    )
    labels_arrays(Labels({}, classes))  # which refuses names that no page can show
    new_study.write(folder, values)
    sizes = ", ".join(f"{len(split.y)} {name}" for name, split in splits.items())
    click.echo(f"{section['name']}: {len(classes)} classes; {SAMPLES[reading.kind]}: {sizes}")
    click.echo(f"next: cd {shlex.quote(str(folder))} && dvc repro")


def _shares(given: Iterable[float]) -> dict[str, float]:
    """What is held out, by split; a `ParamsError` if that leaves too little to train on."""
    shares = dict(zip(Shares.model_fields, given, strict=True))
    if sum(shares.values()) >= MOST_HELD_OUT:
        raise ParamsError(
            "--shares must leave at least a tenth of the samples to train on; got "
            f"{' + '.join(map(str, shares.values()))}"
        )
    return shares


def _reading(data: str, kind: Kind | None, columns: Mapping[str, str | None]) -> Reading:
    """What the options say of the file."""
    given: dict[str, Any] = {name: column for name, column in columns.items() if column is not None}
    table = is_table(Path(data))
    kind = kind or ("text" if "text" in given else "table" if table else "images")
    allowed = {"images": set(), "table": given.keys() - {"text"}, "text": given.keys()}[kind]
    if surplus := sorted(given.keys() - allowed):
        raise ParamsError(f"--{surplus[0]} must be left out where --kind is {kind}")
    if data in BUILT_IN_DATA and kind != "images":
        raise ParamsError(f"--kind must be images, as {data} are; got {kind}")
    if given and not table:
        raise ParamsError(
            f"--{min(given)} names a column of .csv or .parquet; got {shortened(data)}",
            "Arrays of an .npz go by their own names, which docs/your-own.md lists.",
        )
    if empty := [name for name, column in given.items() if not column]:
        raise ParamsError(f"--{empty[0]} must name a column; got nothing")
    if {"groups", "time"} <= given.keys():
        raise ParamsError("--groups and --time must not both be given: rows are split by one")
    return replace(Reading(kind, by_options=True), **given)
