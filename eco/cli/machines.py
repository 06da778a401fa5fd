"""`eco machines`: the energies of several machines, side by side."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from eco.cli.show import aligned
from eco.commands import command
from eco.energy.machine import origin
from eco.energy.measurement import Measurements
from eco.errors import FileError, MeasurementError
from eco.evaluation.machines import ranking, ratios, transfer, tuned_for
from eco.strategies.outcomes import Outcomes
from eco.workflow import params
from eco.workflow.artifacts import ENERGY
from eco.workflow.codecs import DamagedError
from eco.workflow.outcomes import load_outcomes

Array = NDArray[Any]

#: What the readings in git's HEAD are called.
COMMITTED = "committed"
#: Share of energy within which two strategies are equally good.
TIE = 0.005
EXAMPLES = """\b
Examples:
  eco machines                                 # the committed readings, and the present ones
  eco machines laptop/energy.json server.json  # those of files
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
def machines(files: Sequence[Path]) -> None:
    """Compare the readings of machines: joules, ratios, rankings, and what is tuned with them.

    A FILE is a data/energy.json of the same pool. Without one: those last committed, and those of
    data/energy.json if they differ.
    """
    settings = params.load()
    found = dict(_from_files(files) if files else present())
    size, pool = settings.energy.batch_size, settings.pool
    energies_j = {}
    for name, measurements in found.items():
        try:
            energies_j[name] = measurements.energy_j(pool, size)
        except MeasurementError as error:
            if name != COMMITTED:
                remedy = "Its models must be of this pool."
                raise FileError(f"{name} {error.problem}", remedy) from None
            click.echo(f"{name}: left out, of another pool: {error.problem}")
    found = {name: found[name] for name in energies_j}
    outcomes = load_outcomes(settings, "tuning")
    click.echo("\n".join(compare(settings, found, np.array(list(energies_j.values())), outcomes)))


def present() -> Iterator[tuple[str, Measurements]]:
    """The readings of git's HEAD, if they can be had, and those on disk where they differ."""
    path, text = ENERGY.path(), committed(ENERGY.path())
    if text is not None:
        yield COMMITTED, decoded(text, f"{path} in git's HEAD")
    if text is None or text != path.read_bytes():
        yield "present", ENERGY.load()


def committed(path: Path) -> bytes | None:
    """The content of a file in git's HEAD, None if it isn't there."""
    command = ["git", "show", f"HEAD:./{path.as_posix()}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=False)
    except OSError:  # git is not installed
        return None
    return shown.stdout if shown.returncode == 0 else None


def decoded(content: bytes, name: str) -> Measurements:
    """Readings; a `FileError` names where they are from."""
    try:
        return ENERGY.codec.decode(content, {})
    except DamagedError as error:
        raise FileError(f"{name} {error}", "Name a data/energy.json of this study.") from None


def _from_files(files: Sequence[Path]) -> Iterator[tuple[str, Measurements]]:
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise FileError(f"{path} can't be read: {error.strerror}", "Name a file.") from None
        yield str(path), decoded(content, str(path))


def compare(
    settings: params.Params,
    found: dict[str, Measurements],
    energies_j: Array,
    outcomes: Outcomes,
) -> Iterator[str]:
    """Lines of text: whose readings, joules and ratios, rankings, tuned strategies."""
    pool, names = settings.pool, list(found)
    for name, measurements in found.items():
        date = measurements.provenance.get("measured_on", "unknown date")
        yield f"{name}: {origin(measurements.provenance)}, {date}"
    shares = ratios(energies_j)
    yield f"\nuJ per prediction at {settings.energy.batch_size} a call, and over {pool[-1]}:"
    cells = [
        [model, *(f"{1e6 * j:.3g} ({share:.3f})" for j, share in zip(joules, of, strict=True))]
        for model, joules, of in zip(pool, energies_j.T, shares.T, strict=True)
    ]
    yield aligned(["", *names], cells)
    yield "\ncheapest first:"
    orders = [ranking(joules, pool) for joules in energies_j]
    for name, order in zip(names, orders, strict=True):
        yield f"  {name}: {', '.join(order)}"
    if len(names) == 1:
        yield f"One machine: name files of others, or measure on another one: {command('measure')}"
        return
    yield f"  {'the same ranking' if len(set(orders)) == 1 else 'the rankings differ'}"
    yield from _transferred(settings, names, energies_j, outcomes)


def _transferred(
    settings: params.Params, names: Sequence[str], energies_j: Array, outcomes: Outcomes
) -> Iterator[str]:
    """What the strategy tuned with each machine's readings takes on every machine."""
    goal = settings.tuning
    tuned = [
        tuned_for(
            replace(outcomes, energy_j=joules, readings=None).of(settings.candidates),
            goal.max_accuracy_loss, goal.margin_se, goal.settings_per_chain, goal.longest_chain,
        )
        for joules in energies_j
    ]  # fmt: skip
    shares = transfer(tuned, outcomes, energies_j)
    more = shares / shares.diagonal() - 1
    last, loss = settings.pool[-1], goal.max_accuracy_loss
    yield f"\ntuned to lose {loss:g} points; share of {last}'s energy on the tuning images:"
    cells = []
    for name, point, row, above in zip(names, tuned, shares, more, strict=True):
        shown = [f"{s:.4f} ({m:+.1%})" for s, m in zip(row, above, strict=True)]
        cells.append([f"with {name}", *shown, point.strategy.describe()])
    yield aligned(["tuned", *(f"run on {name}" for name in names), "strategy"], cells)
    yield "In brackets: more than the strategy tuned with that machine's own readings."
    for name, above in zip(names[1:], more[0, 1:], strict=True):
        verdict = "is still the best" if above <= TIE else f"takes {above:.1%} more than the best"
        yield f"The strategy tuned with {names[0]} {verdict} on {name}."
