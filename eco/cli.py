"""The command line: predict files, show the strategies, find a setting, look for faults.

It acts as a stage does: it reads params.yaml and the files of the workflow, and hands plain values
to the other modules. Whatever is slow to import is imported by the command that needs it.
"""

import errno
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eco import files, lineage, params, results, samples
from eco.cascading import is_same
from eco.errors import DataError, FileError, ModelError, TargetError, reported
from eco.footprint import per_thousand
from eco.results import Names, Write
from eco.samples import Samples

if TYPE_CHECKING:
    from eco.engine import Answers, Model
    from eco.strategies import Strategy

Array = NDArray[Any]
Row = dict[str, Any]

SPLITS = ("train", *files.PREDICTED)
#: Stages that a found cascade changes and that need neither images nor models.
AFTER_TUNING = "evaluate_cascading compare footprint"
#: Ends of the help texts; \b keeps the lines apart.
EXAMPLES = {
    "predict": """\b
Examples:
  eco predict test
  eco predict images.npy -o answers.csv
  eco predict images.npz -s 'tuned to lose 0.5' -o answers.parquet --compare
  eco predict t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
""",
    "show": """\b
Examples:
  eco show
  eco show --format markdown > strategies.md
  eco show --format json | jq '.[] | select(.accuracy_loss_points < 0.5) | .name'
""",
    "tune": """\b
Examples:
  eco tune --max-accuracy-loss 0.5    # the cheapest that loses at most half a point
  eco tune --energy-budget 0.1        # the most accurate for a tenth of the energy
""",
    "doctor": """\b
Examples:
  eco doctor
""",
}


class _Commands(click.Group):
    """Commands whose errors are one message, and that can be stopped at any time."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            with reported():
                super().invoke(ctx)
                sys.stdout.flush()  # here, where click meets a closed pipe quietly
        except OSError as error:
            if error.filename is not None or error.errno == errno.EPIPE:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at exit again
            click.echo(f"\nERROR: what this prints can't be written: {error.strerror}.", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nStopped. No result was written; what stood there is unchanged.", err=True)
            ctx.exit(130)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Answer each image with the cheapest classifier that is good enough, and say what it cost.

    Run it from the top of the repository. COMMAND --help has examples.
    """


@main.command(epilog=EXAMPLES["predict"])
@click.argument("given", metavar="INPUT")
@click.option("-s", "--strategy", default="chosen", help="A name that `eco show` lists.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where the answers go: {', '.join(results.FORMATS)}, in folders that are made where "
    "there are none. Without it, totals only.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="Labels of INPUT, IDX or .npy.")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000_000),
    default=4096,
    show_default=True,
    help="Images answered at a time; as many again are read ahead.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Cores that answer side by side: the same answers, sooner where models take the time.",
)
@click.option("--compare", is_flag=True, help="Run the last model as well, for the accuracy lost.")
def predict(
    given: str,
    strategy: str,
    output: Path | None,
    labels: Path | None,
    batch_size: int,
    workers: int,
    compare: bool,
) -> None:
    """Answer the images of INPUT, and say what that cost.

    INPUT is .npy or .npz (X and perhaps y) or IDX, with uint8 images (n, height, width), or a
    split of the study: train, calibration, tuning, certification, test. It may be larger than
    memory. The strategy is the cascade that params.yaml chooses, or any that `eco show` lists.

    Joules are those measured for each model that ran, and for the router, at energy.batch_size.
    """
    settings = params.load()
    if output is not None:
        read = files.images_path(given) if given in SPLITS else Path(given)
        results.check_output(output, [read, *([labels] if labels else [])])
    chosen = _named(settings, strategy)
    with _opened(given, labels, settings.data.name) as source:
        runner = _runner(settings, chosen, given, source.shape, workers)
        reference = _reference(settings, given, source, compare)
        names = Names(runner.class_names, chosen.models)
        total = _Totals(np.zeros(len(chosen.models), np.int64))
        opened = nullcontext(lambda _: None) if output is None else results.writing(output, names)
        with opened as write:
            _answer(source, runner, reference, batch_size, write, total)
    title = f"{strategy}: {chosen.told()}" if chosen.told() != strategy else strategy
    click.echo("\n".join([title, *_told(settings, total, chosen.models, runner.reference_j)]))
    if output is not None:
        click.echo(f"answers in {output}")


class _Runner(NamedTuple):
    """A strategy, loaded: J per sample of its models, of its router and of the last model."""

    run: Callable[[Array], "Answers"]
    energy_j: Array
    router_j: float
    reference_j: float
    class_names: list[str]


@dataclass
class _Totals:
    """What a run amounts to; ``right`` and ``reference_right`` where labels are known."""

    answered: Array
    energy_j: float = 0.0
    right: int | None = None
    reference_right: int | None = None
    seconds: float = 0.0


Reference = Callable[[int, Array], Array] | None


def _answer(
    source: Samples,
    runner: _Runner,
    reference: Reference,
    batch_size: int,
    write: Write,
    total: _Totals,
) -> None:
    """Answer every sample, write the answers, and add up."""
    start, begin = 0, time.perf_counter()
    with tqdm(total=source.n, unit=" images", disable=None, file=sys.stderr) as bar:
        for X, y in source.batches(batch_size, len(runner.class_names)):
            answers = runner.run(X)
            labels = answers.labels
            energy_j = answers.ran @ runner.energy_j + runner.router_j
            rows = {
                "index": np.arange(start, start + len(X)),
                "label": labels,
                "confidence": answers.confidence.round(4),
                "answered_by": answers.answered_by,
                "energy_j": energy_j,
            }
            write(rows)
            total.energy_j += float(energy_j.sum())
            total.answered += np.bincount(answers.answered_by, minlength=len(total.answered))
            if y is not None:
                total.right = (total.right or 0) + int((labels == y).sum())
            if y is not None and reference is not None:
                theirs = int((reference(start, X) == y).sum())
                total.reference_right = (total.reference_right or 0) + theirs
            start += len(X)
            bar.update(len(X))
    total.seconds = time.perf_counter() - begin


def _told(
    settings: params.Params, total: _Totals, models: Sequence[str], reference_j: float
) -> Iterator[str]:
    """The totals, line by line."""
    n, last = int(total.answered.sum()), settings.pool[-1]
    yield f"samples            {n:,}"
    if total.right is not None:
        yield f"accuracy           {total.right / n:.2%}"
    if total.right is not None and total.reference_right is not None:
        lost = 100 * (total.reference_right - total.right) / n
        yield f"points lost        {lost:.2f} (always {last}: {total.reference_right / n:.2%})"
    made = files.load_provenance(files.ENERGY, "benchmark")
    grid = made["grid_g_co2e_per_kwh"]
    emitted = per_thousand(total.energy_j, grid)["g_co2e_per_1000"] / 1000
    yield f"energy             {total.energy_j:.4g} J, {total.energy_j / n:.4g} J per sample"
    yield f"share of {last:9} {total.energy_j / n / reference_j:.4f}"
    yield f"emissions          {emitted:.3g} g CO2e at {grid:g} g/kWh ({made.get('country')})"
    shares = [f"{m} {a / n:.2%}" for m, a in zip(models, total.answered, strict=True)]
    yield f"answered by        {', '.join(shares)}"
    yield f"time               {total.seconds:.2f} s, {n / total.seconds:,.0f} images/s"
    yield (
        f"(joules as measured at batch size {settings.energy.batch_size} on "
        f"{made.get('machine')}, mode {made.get('mode')})"
    )


@contextmanager
def _opened(given: str, labels: Path | None, dataset: str) -> Iterator[Samples]:
    if given not in SPLITS:
        with samples.opened(Path(given), labels) as source:
            yield source
    elif labels is not None:
        raise DataError(f"the split {given} has labels of its own: leave out --labels")
    else:
        yield samples.of_arrays(*files.load_images(given, dataset))


def _session(settings: params.Params) -> Callable[[str], "Model"]:
    from eco.inference import Session  # ONNX Runtime

    def load(name: str) -> "Model":
        path = files.router_path(name) if name in files.ROUTERS else files.model_path(name)
        return Session(path, settings.energy.threads)

    return load


def _runner(
    settings: params.Params,
    chosen: "Strategy",
    given: str,
    shape: tuple[int, ...],
    workers: int,
) -> _Runner:
    """Load a strategy, and see on a black image that it takes such images at all."""
    from eco import strategies
    from eco.engine import OnWorkers

    pool, batch_size = settings.pool, settings.energy.batch_size
    pool_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    energy_j = files.load_energy(files.ENERGY, chosen.models, batch_size, "benchmark")
    router_j = 0.0
    if chosen.router:
        files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark_router")
        asked = (files.ROUTER_ENERGY, [chosen.router], batch_size, "benchmark_router")
        router_j = float(files.load_energy(*asked)[0])
    probe, signal = settings.router.probe, settings.cascading.confidence
    loaded = OnWorkers(
        strategies.loaded(chosen, _session(settings), pool_j, pool, probe, signal), workers
    )

    def run(X: Array) -> "Answers":
        try:
            return loaded(X)
        except ModelError as error:
            listed = ", ".join(f"{i} {files.model_path(m)}" for i, m in enumerate(chosen.models))
            raise ModelError(f"{error}. The models: {listed}") from None

    try:
        n_classes = run(np.zeros((1, *shape), np.uint8)).probabilities.shape[1]
    except FileError:
        size = " x ".join(map(str, shape))
        raise DataError(
            f"{given} has images of {size}, which these models don't take: give images of the size "
            "that they learnt from, or train them on such images (data.path)"
        ) from None
    class_names = files.load_class_names(settings.data.name)
    if len(class_names) != n_classes:
        raise FileError(
            f"{files.LABELS} names {len(class_names)} classes, but {chosen.models[0]} tells "
            f"{n_classes} apart. Make the models anew: dvc repro"
        )
    return _Runner(run, energy_j, router_j, float(pool_j[-1]), class_names)


def _reference(settings: params.Params, given: str, source: Samples, compare: bool) -> Reference:
    """Labels that the last model gives: stored ones of a split, or its own where asked for."""
    last = settings.pool[-1]
    if given in files.PREDICTED:
        stored = files.load_predictions([last], given, settings.data.name)[:, 0].argmax(axis=1)
        return lambda start, X: stored[start : start + len(X)]
    if not compare:
        return None
    if not source.labelled:
        raise DataError(f"{given} has no labels to --compare with: name a file of --labels")
    from eco import strategies

    whole = _session(settings)
    answers = strategies.loaded(strategies.always(last), whole, np.ones(1), [last], "",
                                settings.cascading.confidence)  # fmt: skip
    return lambda _, X: answers(X).labels


def _made_for(settings: params.Params) -> files.MadeFor:
    confidence = settings.cascading.confidence
    return files.MadeFor(settings.data.name, settings.energy.batch_size, confidence, settings.pool)


def _chosen(settings: params.Params) -> "Strategy":
    """The cascade that params.yaml chooses, as stages/evaluate_cascading.py finds it."""
    from eco.strategies import Strategy, of_setting

    chain = settings.cascading
    if chain.thresholds == "certified":
        row = files.load_certified("cascade", _made_for(settings))
        if "none" in row:
            raise TargetError(f"no cascade is certified: {row['none']}. Name another --strategy")
        return of_setting("chosen", row)
    if chain.thresholds == "tuned":
        return of_setting("chosen", _found(settings)[0].row(settings.pool))
    return Strategy("chosen", "cascade", tuple(chain.active_models), tuple(chain.chosen_thresholds))


def _found(settings: params.Params, **asked: Any) -> tuple[Any, Array]:
    """The tuned setting for a target, of params.yaml where none is asked; J of every model."""
    from eco.tuning import Setting, for_target

    goal = {key: getattr(settings.tuning, key) for key in GOAL} | asked
    rows, reference = files.load_frontier("accuracy", _made_for(settings))
    pool, batch_size = settings.pool, settings.energy.batch_size
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    points = [Setting.of_row(row, pool) for row in rows]
    return for_target(points, **goal, reference=reference, reference_j=energy_j[-1]), energy_j


GOAL = ("target", "max_accuracy_loss", "energy_budget")


def _named(settings: params.Params, name: str) -> "Strategy":
    """The strategy that `eco show` gives this name."""
    if name == "chosen":  # which takes none of the files that tell the figures
        return _chosen(settings)
    there = {strategy.name: strategy for strategy, _ in _strategies(settings)}
    if name not in there:
        raise TargetError(f"no strategy is called {name}; there are: {'; '.join(there)}")
    strategy = there[name]
    if name.startswith("tuned") and name not in settings.cascading.presets:
        # Rows of a former run stay where a new one was stopped before it came to them.
        rows, _ = files.load_frontier("accuracy", _made_for(settings))
        setting = list(strategy.models), list(strategy.thresholds)
        if setting not in [(row["models"], row["thresholds"]) for row in rows]:
            raise FileError(
                f"{files.rows_path('strategies')} is of another run than {files.FRONTIER}, which "
                f"has no cascade {strategy.told()}. Finish the run: dvc repro"
            )
    return strategy


def _strategies(settings: params.Params) -> "Iterator[tuple[Strategy, Row]]":
    """Every strategy that can run, with its figures on test; the chosen one may have none yet."""
    from eco import strategies

    with suppress(TargetError):  # what params.yaml asks for can't be had: the others can
        chosen = _chosen(settings)
        scored = files.load_rows("cascading", ["cascade"], "evaluate_cascading")[0]
        told = chosen.told().replace(", ", " -> ")
        yield chosen, scored if scored["cascade"] == told else {}
    models = files.load_metric("models", ["models"], "compare")
    for model in settings.pool:
        if model in models:
            best = models[list(models)[-1]]["accuracy"]
            lost = 100 * (best - models[model]["accuracy"])
            yield strategies.always(model), models[model] | {"accuracy_loss_points": lost}
    keys = ["name", "models", "thresholds", "accuracy", "energy_share"]
    for row in files.load_rows("strategies", keys, "evaluate_frontier"):
        chain, thresholds = row["models"].split(), [float(t) for t in row["thresholds"].split()]
        # Voting has no thresholds, and a cascade of a former pool has no models any more.
        if len(chain) == len(thresholds) and set(chain) <= set(settings.pool):
            setting = {"models": chain, "thresholds": thresholds}
            yield strategies.of_setting(row["name"], setting), row
    for row in files.load_rows("routing", ["name", "accuracy", "energy_share"], "evaluate_routing"):
        if found := _router(settings, row):
            yield found, row


def _router(settings: params.Params, row: Row) -> "Strategy | None":
    """A router as it was evaluated; None where the price that was tuned isn't on record."""
    from eco.strategies import Strategy, of_certified

    name, pool = row["name"], settings.pool
    kind = name.removesuffix(", certified")
    if kind == "router":
        return Strategy(name, kind, tuple(pool))
    if kind != name:
        policy = files.load_certified(kind, _made_for(settings))
        return None if "none" in policy else of_certified(name, kind, policy, pool)
    if "price" in row:
        policy = {"price": row["price"], "threshold": row.get("threshold", 0.0)}
        return of_certified(name, kind, policy, pool)
    return None


@main.command(epilog=EXAMPLES["show"])
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
)
def show(form: str) -> None:
    """List the strategies that `eco predict` can run, and their figures on the test images.

    In brackets 95 % intervals. Energies are shares of always running the last model; realised are
    those of the strategy measured as a whole, where stages/meter.py did that.
    """
    settings = params.load()
    realised = _realised(settings)
    rows = []
    for strategy, figures in _strategies(settings):
        share = next((r["energy_share"] for r in realised if is_same(r, strategy.row())), None)
        kept = {key: value for key, value in figures.items() if key.startswith(SHOWN)}
        named = {"name": strategy.name, "kind": strategy.kind, "setting": strategy.told()}
        rows.append(named | kept | ({} if share is None else {"realised_share": share}))
    with suppress(FileError):  # without DVC's record there is nothing to compare
        if warning := lineage.advice():
            click.echo(f"NOTE: {warning}", err=True)
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
        return
    head = ("strategy", "accuracy", "points lost", "energy share", "realised", "setting")
    cells = [[*_cells(row), row["setting"]] for row in rows]
    click.echo(_markdown(head, cells) if form == "markdown" else _aligned(head, cells))


SHOWN = ("accuracy", "energy_share")


def _realised(settings: params.Params) -> list[Row]:
    """What was metered at the study's batch size."""
    if not files.rows_path("metered").exists():
        return []
    rows = files.load_rows("metered", ["name", "batch_size", "energy_share"], "meter")
    return [row for row in rows if row["batch_size"] == settings.energy.batch_size]


def _cells(row: Row) -> list[str]:
    if "accuracy" not in row:
        return [row["name"], "not yet: dvc repro", "", "", ""]
    return [
        row["name"],
        f"{row['accuracy']:.2%}",
        _with_interval(row, "accuracy_loss_points", ".2f"),
        _with_interval(row, "energy_share", ".4f"),
        f"{row['realised_share']:.4f}" if "realised_share" in row else "",
    ]


def _with_interval(row: Row, key: str, form: str) -> str:
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    told = f"{row[key]:{form}}"
    return told if low is None or high is None else f"{told} [{low:{form}}, {high:{form}}]"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@main.command(epilog=EXAMPLES["tune"])
@click.option(
    "--max-accuracy-loss",
    type=click.FloatRange(0, 100, max_open=True),
    help="Points of accuracy below the last model.",
)
@click.option(
    "--energy-budget",
    type=click.FloatRange(0, min_open=True),
    help="Share of the last model's energy.",
)
def tune(max_accuracy_loss: float | None, energy_budget: float | None) -> None:
    """Name the cascade for a target, its figures, and the command that puts it to use.

    It was found on the tuning images; what counts is what it does on the test images.
    """
    if (max_accuracy_loss is None) == (energy_budget is None):
        raise click.UsageError("Name one of --max-accuracy-loss and --energy-budget.")
    settings = params.load()
    target = "energy_budget" if max_accuracy_loss is None else "max_accuracy_loss"
    limit = energy_budget if max_accuracy_loss is None else max_accuracy_loss
    if limit != limit:  # NaN is in every range
        raise click.UsageError(f"--{target.replace('_', '-')} must be a number; got nan.")
    try:
        point, energy_j = _found(settings, **{"target": target, target: limit})
    except TargetError as error:
        option = f"--{target.replace('_', '-')}"
        raise TargetError(str(error).replace(f"tuning.{target} in params.yaml", option)) from None
    pairs = zip(point.row(settings.pool)["models"], point.thresholds, strict=True)
    click.echo(", ".join(f"{model} {threshold:g}" for model, threshold in pairs))
    scores = list(_scores(settings, point, energy_j))
    click.echo(_aligned(("", "accuracy", "points lost", "energy share"), scores))
    overrides = {"cascading.thresholds": "tuned", "tuning.target": target}
    overrides |= {f"tuning.{target}": f"{limit:g}"}
    options = " ".join(f"-S {shlex.quote(f'{k}={v}')}" for k, v in overrides.items())
    click.echo(f"\nPut it to use: dvc exp run --allow-missing {options} {AFTER_TUNING}")


def _scores(settings: params.Params, point: Any, energy_j: Array) -> Iterator[list[str]]:
    from eco.confidence import confidence, correct
    from eco.tuning import scored

    for split in ("tuning", "test"):
        p = files.load_predictions(settings.pool, split, settings.data.name)
        right = correct(p, files.load_labels(split, settings.data.name))
        sure = confidence(p, settings.cascading.confidence)
        here = scored(point.chain, point.thresholds, sure, right, energy_j)
        lost = 100 * (right[:, -1].mean() - here.accuracy)
        share = here.energy_j / energy_j[-1]
        yield [f"on {split}", f"{here.accuracy:.2%}", f"{lost:.2f}", f"{share:.4f}"]


@main.command(epilog=EXAMPLES["doctor"])
def doctor() -> None:
    """Say what is wrong with the pool, the energies and the files, and what to do about it."""
    settings = params.load()
    for title, lines in [
        ("pool, on the tuning images", _pool_findings),
        ("energies", _energy_findings),
        ("files", _file_findings),
    ]:
        click.echo(f"{title}:")
        try:
            for line in lines(settings):
                click.echo(f"  {line}")
        except FileError as error:  # what else there is to say is worth saying
            click.echo(f"  {error}")


def _pool_findings(_: params.Params) -> Iterator[str]:
    for check, told in files.load_metric("doctor", ["doctor"], "compare").items():
        yield f"{check.replace('_', ' ')}: {told}"


def _energy_findings(settings: params.Params) -> Iterator[str]:
    here, size = files.machine(), settings.energy.batch_size
    measured = [(files.ENERGY, "benchmark"), (files.ROUTER_ENERGY, "benchmark_router")]
    for path, stage in measured:
        made, rows = files.load_provenance(path, stage), files.energy_rows(path, stage)
        there = made.get("machine")
        where = "this machine" if there == here else f"{there}; this is {here}: make measure"
        yield f"{path}: measured on {made.get('measured_on')}, mode {made.get('mode')}, on {where}"
        flagged = [r for r in rows if r.get("flags") and r["batch_size"] == size]
        named = ", ".join(f"{r['name']} ({r['flags']})" for r in flagged)
        others = sum(bool(r.get("flags")) for r in rows) - len(flagged)
        yield f"{path}: flagged at batch size {size}: {named or 'none'}; at others: {others}"
    files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark_router")


def _file_findings(settings: params.Params) -> Iterator[str]:
    models = [files.model_path(model) for model in settings.pool]
    cached = [*models, *map(files.router_path, files.ROUTERS), *map(files.images_path, SPLITS)]
    tracked = [files.LABELS, files.ENERGY, files.ROUTER_ENERGY, files.FRONTIER, files.CERTIFIED]
    tracked += [files.predictions_path(model) for model in settings.pool]
    tracked += [files.metrics_path(name) for name in ("models", "doctor")]
    tracked += [files.rows_path(name) for name in ("strategies", "routing", "cascading")]
    remedies = [(cached, "dvc checkout; or make them: dvc repro"),
                (tracked, "git checkout data metrics plots; or make them: dvc repro")]  # fmt: skip
    for wanted, remedy in remedies:
        missing = [str(path) for path in wanted if not path.exists()]
        if missing:
            yield f"missing: {', '.join(missing)}. Bring them back: {remedy}"
    if all(path.exists() for path in (*cached, *tracked)):
        yield f"all {len(cached) + len(tracked)} are there"
    yield lineage.advice() or "all results were made from the files that lie beside them"
