"""`eco init`: a study of one's own, which runs with the installed package."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import get_args

import click

from eco.cli.inputs import SAMPLES
from eco.data.files import Reading
from eco.data.kinds import Kind
from eco.data.splits import load_splits
from eco.data.tables import is_table
from eco.errors import ParamsError
from eco.workflow import new_study
from eco.workflow.contents import Labels, labels_arrays
from eco.workflow.sections import BUILT_IN_DATA

EXAMPLES = """\b
Examples:
  eco init my-study --data letters.npz
  eco init my-study --data digits --models tiny,slim,extra
  eco init my-study --data customers.csv --target churned
  eco init my-study --data reviews.csv --kind text --text review --target stars
"""
DATA = "A file, or a folder of images, as docs/your-own.md says; or digits, or fashion-mnist."
KIND = "What samples are; by default table for .csv and .parquet, else images."
TARGET = "Of .csv and .parquet: the column with the class; by default target."
TEXT = "Of .csv and .parquet: the column with the texts; by default text."
MODELS = "Models of the pool, separated by commas, light to heavy; all of them by default."


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA)
@click.option("--kind", type=click.Choice(get_args(Kind)), help=KIND)
@click.option("--target", help=TARGET)
@click.option("--text", help=TEXT)
@click.option("--models", help=MODELS)
def init(
    folder: Path, data: str, kind: Kind | None, target: str | None, text: str | None,
    models: str | None,
) -> None:  # fmt: skip
    """Write a study of your own data into FOLDER: settings, pipeline, scripts, README.

    The data are read once, to see whether they can be used. `dvc repro` in FOLDER runs the study.
    """
    new_study.check_folder(folder)
    reading = _reading(data, kind, target, text)
    values = new_study.settings(folder, data, models, reading)
    section = values["data"]
    path = data if section["path"] else ""
    splits, classes, _ = load_splits(
        section["name"], path, section["shares"], values["seed"], reading
    )
    labels_arrays(Labels({}, classes))  # which refuses names that no page can show
    new_study.write(folder, values)
    sizes = ", ".join(f"{len(split.y)} {name}" for name, split in splits.items())
    click.echo(f"{section['name']}: {len(classes)} classes; {SAMPLES[reading.kind]}: {sizes}")
    click.echo(f"next: cd {shlex.quote(str(folder))} && dvc repro")


def _reading(data: str, kind: Kind | None, target: str | None, text: str | None) -> Reading:
    """What the options say of the file."""
    columns = {"target": target, "text": text}
    given = {name: column for name, column in columns.items() if column is not None}
    kind = kind or ("text" if "text" in given else "table" if is_table(Path(data)) else "images")
    allowed = {"images": set(), "table": {"target"}, "text": {"target", "text"}}[kind]
    if surplus := sorted(given.keys() - allowed):
        raise ParamsError(f"--{surplus[0]} must be left out where --kind is {kind}")
    if data in BUILT_IN_DATA and kind != "images":
        raise ParamsError(f"--kind must be images, as {data} are; got {kind}")
    if empty := [name for name, column in given.items() if not column]:
        raise ParamsError(f"--{empty[0]} must name a column; got nothing")
    reading = Reading(kind, by_options=True)
    return replace(reading, target=target or reading.target, text=text or reading.text)
