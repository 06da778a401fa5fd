"""Many files of samples, each answered into a file of its own; what is finished stays finished.

A record of each file of answers, written before it appears, says from what it was made. So whatever
ends a run costs the files that it was writing, and the next run does the rest.
"""

import functools
import glob
import itertools
import json
import operator
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import click
from tqdm import tqdm

from eco import __version__
from eco.cli import engines, folders, inputs, stores, writers
from eco.cli.answering import Runner, Totals, answer, described, summary
from eco.cli.folders import Folder, LocalFolder
from eco.cli.stores import Object, Record
from eco.cli.strategies import load_energy_j, load_router_energy_j, model_paths
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
#: Inputs that messages list at most.
LISTED = 20

Source = Path | Object
#: The name of a file of answers, and its input.
Job = tuple[str, Source]


def is_folder(output: str) -> bool:
    """Whether a name is that of a folder, which need not be there."""
    is_named = output.endswith(("/", os.sep)) or stores.is_url(output)
    return is_named or _holds(Path.is_dir, output)


def names_many(source: str) -> bool:
    """Whether one INPUT is a folder, a pattern, or in a store."""
    if stores.is_url(source):
        return True
    is_pattern = glob.has_magic(source) and not _holds(Path.exists, source)
    return is_pattern or _holds(Path.is_dir, source)


def _holds(test: Callable[[Path], bool], name: str) -> bool:
    with suppress(OSError, ValueError):  # a name that no file can have
        return test(Path(name))
    return False


def find_inputs(sources: Sequence[str], endings: tuple[str, ...] = inputs.IMAGES) -> list[Source]:
    """The files that names, folders and patterns stand for, each once, in order.

    Files of folders have one of some endings. Raises `DataError` if one of them stands for no file.
    """
    found: dict[str, Source] = {}
    for source in sources:
        if stores.is_url(source):
            found |= {each.url: each for each in stores.find_objects(source, endings)}
            continue
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


def name_answers(inputs: Sequence[Source], suffix: str) -> dict[str, Source]:
    """Inputs by the names of their files of answers.

    Raises
    ------
    DataError
        If two inputs would have the same, or one that of the manifest.
    """
    named: dict[str, Source] = {}
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
    folder: Folder
    suffix: str
    batch_size: int

    @functools.cached_property
    def made_with(self) -> Record:
        """What answers depend on beside their input, as JSON values."""
        settings, strategy = self.settings, self.strategy
        paths = model_paths(strategy)
        encoding = artifacts.ENCODING.path()
        return {
            "strategy": strategy.to_json(),
            "confidence": settings.cascading.confidence,
            "models": {str(path): folders.sha256(path) for path in paths},
            "energy_j": load_energy_j(settings, settings.pool).tolist(),
            "router_energy_j": load_router_energy_j(settings, strategy.router),
            "encoding": folders.sha256(encoding) if settings.data.kind != "images" else None,
            "classes": list(artifacts.LABELS.load(dataset=settings.data.name).class_names),
            "ecoinference": __version__,
        }

    @property
    def files(self) -> list[Path]:
        """What `load` reads from the folder of the study."""
        shared = artifacts.ENERGY, artifacts.ROUTER_ENERGY, artifacts.LABELS, artifacts.ENCODING
        paths = [artifact.path() for artifact in shared]
        return [*filter(Path.exists, paths), *map(Path, self.made_with["models"])]

    def finished(self, named: Mapping[str, Source]) -> dict[str, Totals]:
        """The sums of answers that are there, whole, and made from these inputs."""
        found = {}
        for name, record in self.folder.whole(named).items():
            with suppress(OSError, EcoError, ValueError, KeyError, TypeError):
                source = named[name]
                state = source.listed if isinstance(source, Object) else _state(source)
                is_same = record["made_from"] == state | self.made_with
                if is_same and state.get("version", "") is not None:
                    found[name] = Totals.from_json(record["totals"])
        return found

    def load(self, threads: int = 1) -> "_Answerer":
        """Load the strategy."""
        self.folder.check()
        return _Answerer(self, Runner(self.settings, self.strategy, threads))


def _state(source: Source) -> Record:
    """What tells an input from another, and from what it was before."""
    if isinstance(source, Object):
        return source.state()
    state, path = source.stat(), os.path.realpath(source)
    return {"input": path, "bytes": state.st_size, "modified_ns": state.st_mtime_ns}


def _fetched(source: Source) -> AbstractContextManager[Path]:
    return source.fetched() if isinstance(source, Object) else nullcontext(source)


@dataclass(frozen=True)
class _Answerer:
    """From a job to its sums, or to what is wrong with it."""

    task: Task
    runner: Runner

    def __call__(self, job: Job) -> Totals | EcoError:
        name, source = job
        try:
            state = _state(source)
            with _fetched(source) as path, inputs.open_file(self.task.settings, path) as samples:
                self.runner.check(str(source), samples.shape)

                def make(stream: BinaryIO) -> Record:
                    totals = self._write(samples, stream)
                    if state != _state(source):
                        raise DataError(f"{shortened(source)} changed while it was read")
                    return {"made_from": state | self.task.made_with, "totals": totals.to_json()}

                return Totals.from_json(self.task.folder.save(name, make)["totals"])
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


def predict_many(task: Task, sources: Sequence[str], workers: int, engine: str = "local") -> None:
    """Answer files into a folder, but for what is there already, and write its manifest.

    `workers` are processes of the engine `local`; any other of `engines.ENGINES` takes the cores of
    its cluster.

    Raises
    ------
    EcoError
        If there is nothing to answer, or answers can't go into the folder: before any work. At the
        end, if inputs could not be answered: all others are.
    """
    writers.check_format(task.suffix, f"--format {task.suffix[1:]}")
    named = name_answers(find_inputs(sources, inputs.endings(task.settings)), task.suffix)
    _prepare_folder(task.folder, set(named))
    results: dict[str, Totals | EcoError] = dict(task.finished(named))
    n_before = len(results)
    if jobs := [(name, source) for name, source in named.items() if name not in results]:
        answered = _answer_all(task, jobs, workers, engine)
        task.folder.remove(MANIFEST)  # it stands for a run that has ended
        bar = tqdm(answered, total=len(jobs), unit=" files", disable=None, file=sys.stderr)
        results |= {name: result for (name, _), result in bar}
    totals = {n: r for n in named if not isinstance(r := results[n], EcoError)}
    failed = {str(named[n]): str(r) for n in named if isinstance(r := results[n], EcoError)}
    manifest = _manifest(task, named, totals, failed)
    content = json.dumps(significant(manifest), indent=1).encode() + b"\n"
    task.folder.write(MANIFEST, content)
    click.echo(described(task.name, task.strategy))
    click.echo(f"files              {len(totals):,} of {len(named):,}, {n_before:,} from before")
    if totals:
        click.echo("\n".join(summary(task.settings, task.strategy, _sum(totals.values()))))
    click.echo(f"answers in {task.folder}, listed in {task.folder.place(MANIFEST)}")
    for source, problem in itertools.islice(failed.items(), LISTED):
        click.echo(f"{shortened(source)}: {problem}", err=True)
    if failed:
        raise DataError(
            f"{len(failed)} of {len(named)} inputs were not answered; {MANIFEST} lists them",
            "Put them right and run it again: what is answered is kept.",
        )


def _prepare_folder(folder: Folder, names: set[str]) -> None:
    """Refuse a folder where files of others would be overwritten, or mingled with."""
    remedy = "Name another folder for the answers."
    try:
        visible, recorded = folder.names(), folder.recorded()
        if others := (visible & names) - recorded if recorded is not None else visible:
            listed = shortened(", ".join(sorted(others)))
            problem = f"{shortened(folder)} holds what eco predict did not write there: {listed}"
            raise FileError(problem, remedy)
        if isinstance(folder, LocalFolder) and (owner := owners.owner(folder.path)):
            raise FileError(f"{shortened(folder)} belongs to the study: it is in {owner}", remedy)
        folder.prepare()
    except OSError as error:
        problem = f"{shortened(folder)} can't hold answers: {error.strerror}"
        raise FileError(problem, remedy) from None


def _answer_all(
    task: Task, jobs: Sequence[Job], workers: int, engine: str
) -> Iterator[tuple[Job, Totals | EcoError]]:
    is_alone = engine == "local" and (workers == 1 or len(jobs) == 1)
    run = task.load(workers if is_alone else 1)  # here too, so that a damaged model shows at once
    if is_alone:
        return zip(jobs, map(run, jobs), strict=True)
    if engine == "local":
        return in_processes(task.load, jobs, workers)
    # Other machines have other working folders.
    task = replace(task, folder=task.folder.absolute())
    whole = [(name, s.absolute() if isinstance(s, Path) else s) for name, s in jobs]
    return engines.ENGINES[engine](task.load, whole, task.files)


def _sum(parts: Iterable[Totals]) -> Totals:
    return functools.reduce(operator.add, parts)


def _manifest(
    task: Task, named: Mapping[str, Source], totals: Mapping[str, Totals], failed: Mapping[str, str]
) -> Record:
    """What was answered, by what, and at whose joules; alike after any number of runs."""
    provenance = artifacts.ENERGY.load().provenance
    known = ("machine", "mode", "measured_on", "country", "grid_g_co2e_per_kwh")
    others = ((task.folder.recorded() or set()) & task.folder.names()) - set(totals)
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
        "answers_of_other_runs": sorted(others),
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
