"""`eco init`: a study of one's own, which runs with the installed package."""

import shlex
from pathlib import Path

import click

from eco.data.splits import load_splits
from eco.workflow import new_study

EXAMPLES = """\b
Examples:
  eco init my-study --data letters.npz
  eco init my-study --data digits --models tiny,slim,extra
"""
DATA = "A file or folder of images, as docs/your-own.md describes it; or digits, or fashion-mnist."
MODELS = "Models of the pool, separated by commas, light to heavy; all of them by default."


@click.command(epilog=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", required=True, help=DATA)
@click.option("--models", help=MODELS)
def init(folder: Path, data: str, models: str | None) -> None:
    """Write a study of your own data into FOLDER: settings, pipeline, scripts, README.

    The data are read once, to see whether they can be used. `dvc repro` in FOLDER runs the study.
    """
    new_study.check_folder(folder)
    values = new_study.settings(folder, data, models)
    section = values["data"]
    path = data if section["path"] else ""
    splits, classes, _ = load_splits(section["name"], path, section["shares"], values["seed"])
    new_study.write(folder, values)
    sizes = ", ".join(f"{len(split.y)} {name}" for name, split in splits.items())
    click.echo(f"{section['name']}: {len(classes)} classes; images: {sizes}")
    click.echo(f"next: cd {shlex.quote(str(folder))} && dvc repro")
