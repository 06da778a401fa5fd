"""`eco doctor`: look for faults in the pool, the energies and the files."""

from collections.abc import Iterator

import click

from eco.commands import command
from eco.energy.machine import machine, origin
from eco.errors import FileError, TargetError
from eco.evaluation.classes import named, vanished_classes
from eco.strategies.decisions import decide
from eco.workflow import artifacts as files
from eco.workflow import params
from eco.workflow.outcomes import check_comparable, load_outcomes
from eco.workflow.selection import chosen_strategy

EXAMPLES = """\b
Examples:
  eco doctor
"""
#: Files that git keeps, one of each.
TRACKED = (
    files.LABELS, files.SAMPLE, files.ENERGY, files.ROUTER_ENERGY, files.FRONTIER, files.CERTIFIED,
    files.MODEL_METRICS, files.DOCTOR_METRICS, files.STRATEGY_ROWS, files.ROUTING_ROWS,
    files.CASCADING_ROWS,
)  # fmt: skip

#: What the flags of measured energies mean.
FLAGS = {
    "wide interval": "its rounds differ by more than energy.half_width; its interval holds, and is "
    "wide. Measure on a quieter machine, or raise energy.budget_s",
    "disturbed windows": "over a fifth of its windows disagreed with the clock and were read again",
    "busy neighbours": "other processes kept half a core or more busy meanwhile",
}


@click.command(epilog=EXAMPLES)
def doctor() -> None:
    """Say what is wrong with the pool, the energies and the files, and what to do about it."""
    settings = params.load()
    for title, find in [
        ("candidates for cascades, on the tuning samples", _pool_findings),
        ("chosen strategy, on the tuning samples", _chosen_findings),
        ("energies", _energy_findings),
        ("files", _file_findings),
    ]:
        click.echo(f"{title}:")
        try:
            for finding in find(settings):
                click.echo(f"  {finding}")
        except (FileError, TargetError) as error:  # the other findings still count
            click.echo(f"  {error}")


def _pool_findings(_: params.Params) -> Iterator[str]:
    for check, finding in files.DOCTOR_METRICS.value("doctor").items():
        yield f"{check.replace('_', ' ')}: {finding}"


def _chosen_findings(settings: params.Params) -> Iterator[str]:
    strategy, last = chosen_strategy(settings), settings.pool[-1]
    names = files.LABELS.load(dataset=settings.data.name).class_names
    outcomes = load_outcomes(settings, "tuning")
    decisions = decide(strategy, outcomes)
    share = decisions.energy_j(outcomes) / outcomes.energy_j[-1]
    if share > 1:
        yield f"takes {share:.2f} times the energy of always {last}: choose another, by eco tune"
    answering = {settings.pool[place] for place in decisions.answered_by}
    for model in strategy.models[:-1]:
        if model not in answering:
            yield f"{model} runs and answers nothing: lower its threshold, or leave it out"
    vanished = vanished_classes(strategy, outcomes)
    missing = named([names[label] for label in vanished])
    yield f"never answers {missing}, which {last} does" if missing else "answers every class"


def _energy_findings(settings: params.Params) -> Iterator[str]:
    size, this = settings.energy.batch_size, machine()
    for file in (files.ENERGY, files.ROUTER_ENERGY):
        path, energy = file.path(), file.load()
        date, mode = (energy.provenance.get(k) for k in ("measured_on", "mode"))
        where = origin(energy.provenance)
        advice = "" if where == "this machine" else f"; this is {this}: {command('measure')}"
        yield f"{path}: measured on {date}, mode {mode}, on {where}{advice}"
        flagged = [row for row in energy.rows if row.flags]
        here = [f"{r.name} ({', '.join(r.flags)})" for r in flagged if r.batch_size == size]
        others = len(flagged) - len(here)
        names = ", ".join(here) or "none"
        yield f"{path}: flagged at batch size {size}: {names}; at others: {others}"
        for flag in dict.fromkeys(flag for row in flagged for flag in row.flags):
            if flag in FLAGS:
                yield f"{path}: {flag}: {FLAGS[flag]}"
    check_comparable()


def _file_findings(settings: params.Params) -> Iterator[str]:
    cached = [files.SPLITS.path(split=split) for split in ("train", *files.PREDICTED)]
    tracked = [file.path() for file in TRACKED]
    tracked += [files.ROUTER_MODEL.path(router=router) for router in files.ROUTERS]
    tracked += [files.ENCODING.path()] if settings.data.kind != "images" else []
    for model in settings.pool:
        tracked += [files.MODEL.path(model=model), files.PREDICTIONS.path(model=model)]
    for paths, bringing in [(cached, "dvc checkout"), (tracked, "git checkout HEAD --")]:
        if missing := [str(path) for path in paths if not path.exists()]:
            bring = f"Bring them back: {bringing} {' '.join(missing)}"
            make = f"in a clone, make them: {command('repro')}"
            yield f"missing: {', '.join(missing)}. {bring}; {make}"
    if all(path.exists() for path in (*cached, *tracked)):
        yield f"all {len(cached) + len(tracked)} are there"
    yield "whether they are of the present code and settings: dvc status"
