"""`eco show`: list the strategies and their figures."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from eco.cli.strategies import NamedStrategy, list_strategies
from eco.strategies.strategy import Strategy
from eco.workflow import params
from eco.workflow.artifacts import METERED_ROWS

HEAD = ("strategy", "accuracy", "points lost", "energy share", "realised", "setting")
#: Beginnings of the keys of the figures that are listed.
FIGURES = ("accuracy", "energy_share")
EXAMPLES = """\b
Examples:
  eco show
  eco show --format markdown > strategies.md
  eco show --format json | jq '.[] | select(.accuracy_loss_points < 0.5) | .name'
"""
Rows = Sequence[Sequence[str]]


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.option(
    "-f", "--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table"
)
def show(form: str) -> None:
    """List the strategies that `eco predict` can run, and their figures on the test images.

    In brackets 95 % intervals. Energies are shares of always running the last model; realised are
    those of the strategy measured as a whole, where stages/meter.py did that.
    """
    settings = params.load()
    metered = METERED_ROWS.load() if METERED_ROWS.path().exists() else []
    metered = [row for row in metered if row["batch_size"] == settings.energy.batch_size]
    rows = [_row(entry, metered) for entry in list_strategies(settings)]
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
        return
    cells = [_cells(row) for row in rows]
    click.echo(markdown(HEAD, cells) if form == "markdown" else aligned(HEAD, cells))


def _row(entry: NamedStrategy, metered: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    strategy = entry.strategy
    row = {"name": entry.name} | strategy.to_json() | {"setting": strategy.describe()}
    row |= {key: value for key, value in entry.figures.items() if key.startswith(FIGURES)}
    for other in metered:
        is_same = "kind" in other and Strategy.from_json(other) == strategy
        if is_same or other["name"] == entry.name:
            return row | {"realised_share": other["energy_share"]}
    return row


def _cells(row: Mapping[str, Any]) -> list[str]:
    if "accuracy" not in row:
        return [row["name"], "not yet: dvc repro", "", "", "", row["setting"]]
    loss, share = estimate(row, "accuracy_loss_points", 2), estimate(row, "energy_share", 4)
    realised = f"{row['realised_share']:.4f}" if "realised_share" in row else ""
    return [row["name"], f"{row['accuracy']:.2%}", loss, share, realised, row["setting"]]


def estimate(row: Mapping[str, Any], key: str, digits: int) -> str:
    """A figure of a row and, in brackets, its interval where the row holds one."""
    value, low, high = (row.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def aligned(head: Sequence[str], rows: Rows) -> str:
    """A table as text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def markdown(head: Sequence[str], rows: Rows) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
