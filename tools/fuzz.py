"""Hostile settings, files, models, inputs and arguments, and how each case ends: `make fuzz`.

Each case works on its own copy of a small study, in a process of its own with limits on time and
memory. It is a fault if it ends otherwise than well or in one short message, if it changes a file
that it shouldn't, or if it accepts what can't be right.
"""

import argparse
import importlib
import io
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import yaml

from eco.workflow import artifacts, params
from tests.conftest import REPOSITORY
from tests.small_workflow import build
from tools import fuzz_cases
from tools.fuzz_cases import Case

#: Seconds and bytes that a case may take.
CPU_S, WALL_S, MEMORY = 20, 120, 2**30
#: Characters of a message.
MESSAGE = 600
#: Status of a process that ended in an exception that nobody turned into a message.
DEFECT = 70
SEED = 0
#: Stages that train no model, in an order that makes their files.
STAGES = (
    "label_oracle", "train_router", "tune", "certify", "evaluate_frontier", "evaluate_cascading",
    "evaluate_routing", "compare", "footprint",
)  # fmt: skip
#: Settings that make these stages fast.
FAST = {
    "tuning": {"settings_per_chain": 100},
    "certification": {"resplits": 100, "max_loss": 9.0, "max_harm": 9.0},
}


@dataclass(frozen=True)
class Ending:
    """How a case ended: its status (negative: a signal), what it said, bytes that it took."""

    status: int
    said: str
    memory: int


def make_study(folder: Path) -> None:
    """The small workflow with all that the stages make of it."""
    folder.mkdir()
    settings = build(folder)
    # By dvc.yaml and git a command knows what belongs to the study.
    shutil.copy(REPOSITORY / "dvc.yaml", folder)
    for arguments in (["init", "-q", "--template="], ["add", "dvc.yaml", "params.yaml"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    with chdir(folder):
        content = yaml.safe_load(params.PATH.read_text())
        for section, values in FAST.items():
            content[section].update(values)
        params.PATH.write_text(yaml.safe_dump(content, sort_keys=False))
        for model in settings.pool:
            training = {"cpu_seconds": 9.0, "targets": settings.model(model).targets}
            artifacts.TRAINING_METRICS.save({"training": {model: training}}, model=model)
            for other in (artifacts.TRAINED_MODEL, artifacts.QUANTIZED_MODEL):
                other.path(model=model).parent.mkdir(exist_ok=True)
                shutil.copy(artifacts.MODEL.path(model=model), other.path(model=model))
        artifacts.TEACHING_METRICS.save({"teaching": {"cpu_seconds": 1.0}})
        with redirect_stdout(io.StringIO()):
            for name in STAGES:
                importlib.import_module(f"stages.{name}").main()


def run(numbers: Iterable[int], study: Path, jobs: int, seed: int = SEED) -> Iterator[str]:
    """Run cases by their numbers; of each its fault in one line, or nothing."""
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(partial(_run_one, study=study, seed=seed), numbers)


def _run_one(number: int, study: Path, seed: int) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "study"
        shutil.copytree(study, folder)
        with chdir(folder):
            case = fuzz_cases.make(number, seed)
            before = _contents(folder)
            ending = _end(case.action, folder.parent / "said")
            fault = _fault(case, ending) or _changes(case, ending, before, _contents(folder))
    if not fault:
        return ""
    again = f"--seed {seed} --case {number}"
    return f"{case.kind}: {fault} | {case.what} | python -m tools.fuzz {again}"


def _contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content; None for what isn't a plain file."""
    files = {}
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder)).decode(errors="backslashreplace")
        if not path.is_dir():
            files[name] = path.read_bytes() if path.is_file() else None
    return files


def _end(action: Callable[[], object], log: Path) -> Ending:
    """Run an action in a process of its own, with limits, and wait for its end."""
    child = os.fork()
    if not child:
        _run_and_exit(action, log)
    deadline, present, status = time.monotonic() + WALL_S, 0, 0
    while not present:
        present, status, usage = os.wait4(child, os.WNOHANG)
        if not present and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.005)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = 1024 * max(0, usage.ru_maxrss - before)
    said = log.read_text(encoding="utf-8", errors="replace")
    return Ending(os.waitstatus_to_exitcode(status), said, memory)


def _run_and_exit(action: Callable[[], object], log: Path) -> None:
    """The rest of a forked process; standard error goes to `log`, standard output nowhere."""
    status = DEFECT
    try:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        for limit, value in (
            (resource.RLIMIT_AS, size + 4 * MEMORY),
            (resource.RLIMIT_CPU, CPU_S),
            (resource.RLIMIT_FSIZE, MEMORY),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (value, value))
        files = [os.open(os.devnull, os.O_RDWR)] * 2 + [os.open(log, os.O_CREAT | os.O_WRONLY)]
        for number, file in enumerate(files):
            os.dup2(file, number)
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            for number, mode in enumerate("rww")
        )
        action()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        _report_defect(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _report_defect(error: BaseException) -> None:
    """One line: the exception, and the innermost place of this project that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    paths = [(Path(frame.filename), frame.lineno) for frame in frames]
    code = [(p.relative_to(REPOSITORY), n) for p, n in paths if p.is_relative_to(REPOSITORY)]
    ours = [f"{path}:{n}" for path, n in code if path.parts[0] in ("eco", "stages")]
    place = ours[-1] if ours else "outside"
    message = ascii(str(error))[:120]
    print(f"\nDEFECT {type(error).__name__} at {place}: {message}", file=sys.stderr)


def _fault(case: Case, ending: Ending) -> str:
    """What is wrong with how a case ended, or nothing."""
    said = ending.said
    if ending.status in (-signal.SIGKILL, -signal.SIGXCPU):
        return "hangs"
    if ending.status < 0:
        return f"crashes by {signal.Signals(-ending.status).name}"
    if ending.status == DEFECT:
        return said.rpartition("DEFECT ")[2].strip() or "ends without a word"
    if ending.memory > MEMORY:
        return f"takes {ending.memory / 2**20:.0f} MB"
    if ending.status and "rror: " not in said.replace("ERROR", "Error"):
        return f"status {ending.status} without a message"
    message = said.replace("ERROR: ", "Error: ").rpartition("Error: ")[2].strip()
    if ending.status and len(message) > MESSAGE:
        return f"a message of {len(message)} characters"
    if not ending.status and case.refused:
        return "is accepted"
    return ""


def _changes(case: Case, ending: Ending, before: dict, after: dict) -> str:
    """Files that changed and shouldn't have, or nothing."""
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    allowed = case.outputs if not ending.status else ()
    wrong = [name for name in changed if not any(fnmatch(name, output) for output in allowed)]
    return f"changes {', '.join(sorted(wrong)[:3])}" if wrong else ""


def main() -> None:
    """Run the campaign, or one case of it; exit with status 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1200, help="how many cases")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    numbers = range(options.cases) if options.case is None else [options.case]
    n_faults = 0
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        make_study(study)
        for fault in run(numbers, study, min(options.jobs, len(numbers)), options.seed):
            if fault:
                print(fault, flush=True)
                n_faults += 1
    print(f"{len(numbers)} cases, {n_faults} faults")
    sys.exit(n_faults > 0)


if __name__ == "__main__":
    main()
