"""Many files of samples, each answered into a file of its own; what is finished stays finished.

A record of each file of answers, written before it appears, says from what it was made. So whatever
ends a run costs the files that it was writing, and the next run does the rest.
"""

import functools
import glob
import hashlib
import itertools
import json
import operator
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click
from tqdm import tqdm

from eco import __version__
from eco.atomic import make_folder, replacing
from eco.cli import inputs, writers
from eco.cli.answering import Runner, Totals, answer, described, summary
from eco.cli.strategies import load_energy_j, load_router_energy_j
from eco.cli.workers import in_processes
from eco.data.streams import Samples
from eco.data.tables import SUFFIXES
from eco.energy.machine import fingerprint
from eco.errors import DataError, EcoError, FileError, shortened
from eco.strategies.strategy import Strategy
from eco.workflow import artifacts, owners
from eco.workflow.contents import significant
from eco.workflow.schema import Params

MANIFEST = "manifest.json"
#: Where the records lie in the folder of answers.
RECORDS = ".eco-predict"
#: Inputs that messages list at most.
LISTED = 20

Record = dict[str, Any]
#: The name of a file of answers, and its input.
Job = tuple[str, Path]


def is_folder(output: str) -> bool:
    """Whether a name is that of a folder, which need not be there."""
    return output.endswith(("/", os.sep)) or _holds(Path.is_dir, output)


def names_many(source: str) -> bool:
    """Whether one INPUT is a folder or a pattern."""
    is_pattern = glob.has_magic(source) and not _holds(Path.exists, source)
    return is_pattern or _holds(Path.is_dir, source)


def _holds(test: Callable[[Path], bool], name: str) -> bool:
    with suppress(OSError, ValueError):  # a name that no file can have
        return test(Path(name))
    return False


def find_inputs(sources: Sequence[str], endings: tuple[str, ...] = inputs.IMAGES) -> list[Path]:
    """The files that names, folders and patterns stand for, each once, in order.

    Files of folders have one of some endings. Raises `DataError` if one of them stands for no file.
    """
    found: dict[str, Path] = {}
    for source in sources:
        is_dir, where = _holds(Path.is_dir, source), f"in {shortened(Path.cwd())}"
        if is_dir or names_many(source):
            pattern = f"{glob.escape(source)}/*" if is_dir else source
            matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute ones too)
            files = [match for match in matches if _holds(Path.is_file, match)]
            problem = f"no file matches {shortened(source)} {where}"
            if is_dir:
                files = [file for file in files if file.endswith(endings)]
                problem = f"{shortened(source)} holds no file that ends in {', '.join(endings)}"
        else:
            files = [source] if _holds(Path.exists, source) else []
            problem = f"{shortened(source)} does not exist {where}"
        if not files:
            raise DataError(problem, "Nothing was answered: check the name.")
        for file in files:
            found.setdefault(os.path.realpath(file), Path(file))
    return list(found.values())


def name_answers(inputs: Sequence[Path], suffix: str) -> dict[str, Path]:
    """Inputs by the names of their files of answers.

    Raises
    ------
    DataError
        If two inputs would have the same, or one that of the manifest.
    """
    named: dict[str, Path] = {}
    for path in inputs:
        base = path.name.removesuffix(".gz")
        for ending in (".npy", ".npz", *SUFFIXES):
            base = base.removesuffix(ending)
        name = base + suffix
        if name in named or name == MANIFEST:
            other = shortened(named.get(name, "the manifest"))
            raise DataError(
                f"the answers of {shortened(path)} and {other} would both be {shortened(name)}",
                "Give one of them another name, or its own folder of answers.",
            )
        named[name] = path
    return named


@dataclass(frozen=True)
class Task:
    """How every file is answered.

    ``name`` is that of the strategy; ``folder``: where answers go; ``suffix``: their format.
    """

    settings: Params
    name: str
    strategy: Strategy
    folder: Path
    suffix: str
    batch_size: int

    @functools.cached_property
    def made_with(self) -> Record:
        """What answers depend on beside their input, as JSON values."""
        settings, strategy = self.settings, self.strategy
        paths = [artifacts.MODEL.path(model=model) for model in strategy.models]
        if strategy.router:
            paths.append(artifacts.ROUTER_MODEL.path(router=strategy.router))
        encoding = artifacts.ENCODING.path()
        return {
            "strategy": strategy.to_json(),
            "confidence": settings.cascading.confidence,
            "models": {str(path): _sha256(path) for path in paths},
            "energy_j": load_energy_j(settings, settings.pool).tolist(),
            "router_energy_j": load_router_energy_j(settings, strategy.router),
            "encoding": _sha256(encoding) if settings.data.kind != "images" else None,
            "classes": list(artifacts.LABELS.load(dataset=settings.data.name).class_names),
            "ecoinference": __version__,
        }

    def record_path(self, name: str) -> Path:
        """Where the record of a file of answers lies."""
        return self.folder / RECORDS / f"{name}.json"

    def made_from(self, source: Path) -> Record:
        """What tells an input from another, and what its answers are made with."""
        state, path = source.stat(), os.path.realpath(source)
        of = {"input": path, "bytes": state.st_size, "modified_ns": state.st_mtime_ns}
        return of | self.made_with

    def finished(self, name: str, source: Path) -> Totals | None:
        """The sums of answers that are there, whole, and made from this input; else None."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self.record_path(name).read_bytes())
            is_whole = record["sha256"] == _sha256(self.folder / name)
            if is_whole and record["made_from"] == self.made_from(source):
                return Totals.from_json(record["totals"])
        return None

    def load(self, threads: int = 1) -> "_Answerer":
        """Load the strategy."""
        return _Answerer(self, Runner(self.settings, self.strategy, threads))


@dataclass(frozen=True)
class _Answerer:
    """From a job to its sums, or to what is wrong with it."""

    task: Task
    runner: Runner

    def __call__(self, job: Job) -> Totals | EcoError:
        name, source = job
        try:
            with inputs.open_file(self.task.settings, source) as samples:
                made_from = self.task.made_from(source)
                self.runner.check(str(source), samples.shape)
                with replacing(self.task.folder / name) as stream:
                    totals = self._write(samples, stream)
                    if made_from != self.task.made_from(source):
                        raise DataError(f"{shortened(source)} changed while it was read")
                    digest = _sha256(Path(stream.name))
                    record = {"made_from": made_from, "totals": totals.to_json(), "sha256": digest}
                    # First, as answers without a record would be taken for somebody else's.
                    with replacing(self.task.record_path(name)) as record_stream:
                        record_stream.write(json.dumps(record, indent=1).encode())
                return totals
        except EcoError as error:
            return EcoError(error.problem, error.remedy)  # which can be pickled, whatever its kind
        except OSError as error:
            return EcoError(f"{shortened(source)} can't be read: {error.strerror}")

    def _write(self, samples: Samples, stream: BinaryIO) -> Totals:
        size = self.task.batch_size
        with writers.FORMATS[self.task.suffix](stream, self.runner.names) as write:
            totals = answer(samples, self.runner, None, size, write)
        stream.flush()
        return totals


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def predict_many(task: Task, sources: Sequence[str], workers: int) -> None:
    """Answer files into a folder, but for what is there already, and write its manifest.

    Raises
    ------
    EcoError
        If there is nothing to answer, or answers can't go into the folder: before any work. At the
        end, if inputs could not be answered: all others are.
    """
    writers.check_format(task.suffix, f"--format {task.suffix[1:]}")
    endings = inputs.endings(task.settings)
    named = name_answers(find_inputs(sources, endings), task.suffix)
    _prepare_folder(task, named)
    results: dict[str, Totals | EcoError] = {
        name: found for name, source in named.items() if (found := task.finished(name, source))
    }
    n_before = len(results)
    if jobs := [(name, source) for name, source in named.items() if name not in results]:
        answered = _answer_all(task, jobs, workers)
        with suppress(OSError):  # it stands for a run that has ended
            (task.folder / MANIFEST).unlink()
        bar = tqdm(answered, total=len(jobs), unit=" files", disable=None, file=sys.stderr)
        results |= {name: result for (name, _), result in bar}
    totals = {n: r for n in named if not isinstance(r := results[n], EcoError)}
    failed = {str(named[n]): str(r) for n in named if isinstance(r := results[n], EcoError)}
    manifest = _manifest(task, named, totals, failed)
    with replacing(task.folder / MANIFEST) as stream:
        stream.write(json.dumps(significant(manifest), indent=1).encode() + b"\n")
    click.echo(described(task.name, task.strategy))
    click.echo(f"files              {len(totals):,} of {len(named):,}, {n_before:,} from before")
    if totals:
        click.echo("\n".join(summary(task.settings, task.strategy, _sum(totals.values()))))
    click.echo(f"answers in {task.folder}, listed in {task.folder / MANIFEST}")
    for source, problem in itertools.islice(failed.items(), LISTED):
        click.echo(f"{shortened(source)}: {problem}", err=True)
    if failed:
        raise DataError(
            f"{len(failed)} of {len(named)} inputs were not answered; {MANIFEST} lists them",
            "Put them right and run it again: what is answered is kept.",
        )


def _prepare_folder(task: Task, names: Collection[str]) -> None:
    """Refuse a folder where files of others would be overwritten, or mingled with."""
    folder, remedy = task.folder, "Name another folder for the answers."
    records = folder / RECORDS
    try:
        visible = {path.name for path in folder.glob("*") if not path.name.startswith(".")}
        if records.is_dir():
            visible = {n for n in visible & set(names) if not task.record_path(n).exists()}
        if visible:
            listed = shortened(", ".join(sorted(visible)))
            problem = f"{shortened(folder)} holds what eco predict did not write there: {listed}"
            raise FileError(problem, remedy)
        if owner := owners.owner(folder):
            raise FileError(f"{shortened(folder)} belongs to the study: it is in {owner}", remedy)
        make_folder(records)
    except OSError as error:
        problem = f"{shortened(folder)} can't hold answers: {error.strerror}"
        raise FileError(problem, remedy) from None


def _answer_all(
    task: Task, jobs: Sequence[Job], workers: int
) -> Iterator[tuple[Job, Totals | EcoError]]:
    is_alone = workers == 1 or len(jobs) == 1
    run = task.load(workers if is_alone else 1)  # here too, so that a damaged model shows at once
    if is_alone:
        return zip(jobs, map(run, jobs), strict=True)
    return in_processes(task.load, jobs, workers)


def _sum(parts: Iterable[Totals]) -> Totals:
    return functools.reduce(operator.add, parts)


def _manifest(
    task: Task, named: Mapping[str, Path], totals: Mapping[str, Totals], failed: Mapping[str, str]
) -> Record:
    """What was answered, by what, and at whose joules; alike after any number of runs."""
    provenance = artifacts.ENERGY.load().provenance
    known = ("machine", "mode", "measured_on", "country", "grid_g_co2e_per_kwh")
    records = (task.folder / RECORDS).glob("*.json")
    others = {path.name.removesuffix(".json") for path in records} - set(totals)
    return {
        "strategy": {"name": task.name} | task.strategy.to_json(),
        "models": task.made_with["models"],
        "energies": {key: provenance.get(key) for key in known}
        | {"batch_size": task.settings.energy.batch_size},
        "versions": {"ecoinference": __version__}
        | {key: fingerprint()[key] for key in ("python", "onnxruntime", "numpy")},
        "total": _figures(task, _sum(totals.values())) if totals else None,
        "files": [
            {"input": str(named[name]), "answers": name} | _figures(task, each)
            for name, each in totals.items()
        ],
        "failed": [{"input": source, "problem": problem} for source, problem in failed.items()],
        "answers_of_other_runs": sorted(name for name in others if (task.folder / name).exists()),
    }


def _figures(task: Task, totals: Totals) -> Record:
    shares = zip(task.strategy.models, (totals.answered / totals.n).tolist(), strict=True)
    accuracy = totals.correct / totals.labelled if totals.labelled else None
    return {
        "samples": totals.n,
        "labelled": totals.labelled,
        "accuracy": accuracy,
        "energy_j": totals.energy_j,
        "energy_j_per_sample": totals.energy_j / totals.n,
        "shares": dict(shares),
    }
