"""Run the study, measure where its readings are of another machine, and say what was found.

`make repro` leaves out the comparison of formats, which no result of the study needs; `make full`
runs it too; `make measure` reads all energies anew, and trains nothing that git has the result of.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eco.energy.machine import differences, machine, origin
from eco.errors import FileError, reported
from eco.processes import PLAN, Plan
from eco.report.study import Study, load_study
from eco.workflow import artifacts, params
from tools.pipeline import planned

#: With all that they need, every stage but compare_formats; no targets are every stage.
TARGETS = ("sample", "evaluate_cascading", "report")
READINGS = (artifacts.ENERGY, artifacts.ROUTER_ENERGY, artifacts.METERED)
NEXT = (
    "make experiment SET='cascading.thresholds=[0.95,0.9,0.85,0.0]'; "
    "eco show; eco doctor; eco machines; make full (every model in eight formats)"
)
#: A function that runs `dvc repro` with arguments.
Repro = Callable[..., None]


def is_ours(file: artifacts.Artifact[Any]) -> bool:
    """Whether readings are there, and of this machine."""
    try:
        return not differences(file.load().provenance)
    except FileError:
        return False


def run_study(repro: Repro, targets: Sequence[str], anew: bool = False) -> bool:
    """Run stages; where readings are of another machine, or `anew`, measure. Whether it did so."""
    measures = anew or not all(map(is_ours, READINGS))
    if anew and not artifacts.SPLITS.path(split="test").exists():
        repro("-f", "-s", artifacts.SPLITS.stage())
    for file in READINGS if measures else ():
        path = file.path()
        before = path.read_bytes() if path.exists() else None
        repro(file.stage())  # reads only where something else has changed as well
        is_read = path.read_bytes() != before if anew else is_ours(file)
        if not is_read:
            repro("-f", "-s", file.stage())
    repro(*targets)
    return measures


def found(study: Study) -> Iterator[str]:
    """Five lines: three strategies, whose energies these are and the page, what to try next."""
    last = study.models[-1]
    yield f"{'always ' + last['name']:14} accuracy {_percent(last, 'accuracy')}, energy 1"
    for name in ("tuned", "certified"):
        row = study.named(name)
        if row is None:
            yield f"{name:14} none meets the target: eco show"
            continue
        realised = study.realised(row)
        ran = f", realised {_share(realised)}" if realised else ""
        yield (
            f"{name:14} accuracy {_percent(row, 'accuracy')}, points lost "
            f"{_interval(row, 'accuracy_loss_points', '.2f')}, energy {_share(row)}{ran}"
        )
    page = artifacts.REPORT.path()
    there = f"the page: {page}" if page.exists() else "the page: eco report"
    yield f"energies of {origin(study.model_energy)}, {machine()}; {there}"
    yield f"next: {NEXT}"


def _interval(row: Mapping[str, Any], key: str, form: str) -> str:
    value, low, high = (row.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _percent(row: Mapping[str, Any], key: str) -> str:
    return _interval(row, key, ".2%")


def _share(row: Mapping[str, Any]) -> str:
    return _interval(row, "energy_share", ".3f")


def stopped(plan: Plan) -> str:
    """What to say where a stage failed or was interrupted."""
    where = plan.describe_last() or "before the first stage"
    return (
        f"\nStopped at {where}: the message is above. What the stages before made is kept.\n"
        "Go on where it stopped: make repro. Settings and results as committed: make back"
    )


def main() -> None:
    """Run it, with the position of each stage among all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every stage")
    parser.add_argument("--measure", action="store_true", help="read all energies anew")
    options = parser.parse_args()
    targets = () if options.full else TARGETS
    missing = ["--allow-missing"] if options.measure else []  # what stages made that need not run
    stages = [stage.addressing for stage in planned(targets)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        path.write_text(json.dumps({"begin": time.time(), "stages": stages}))

        def repro(*arguments: str) -> None:
            environment = os.environ | {PLAN: str(path)}
            command = ["dvc", "repro", *missing, *arguments]
            run = subprocess.run(command, env=environment, check=False)
            if run.returncode:
                print(stopped(Plan(path)), file=sys.stderr)
                sys.exit(run.returncode)

        try:
            measured = run_study(repro, targets, options.measure)
        except KeyboardInterrupt:
            print(stopped(Plan(path)), file=sys.stderr)
            sys.exit(130)
    if measured:
        print(f"\nEnergies were measured here, on {machine()}:", flush=True)
        subprocess.run([sys.executable, "-m", "eco", "machines"], check=False)
    print(f"\n{len(stages)} stages are up to date.", *found(load_study(params.load())), sep="\n")


if __name__ == "__main__":
    with reported():
        main()
