"""Timings of the arithmetic in process, and of DVC's commands side by side: `make bench`.

Ratios are of commands run in turn on one machine; single times on a shared one mean little.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from eco import CascadeClassifier
from eco.energy import original
from eco.evaluation.scoring import score
from eco.models.features import ImageFeatures, pixel_graph
from eco.models.onnx.export import export_classifier, export_network
from eco.models.onnx.quantize import quantize
from eco.runtime.calls import Model
from eco.runtime.engine import Cascade, Parallel
from eco.runtime.loading import load
from eco.runtime.session import Session
from eco.strategies import tuning
from eco.strategies.cascade import cascade
from eco.strategies.certification import resplit_violations
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes, Readings
from eco.workflow import params
from eco.workflow.artifacts import ENERGY, MODEL, SPLITS
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import named_strategies
from tests.conftest import clone

RUNS = 5
#: One model of each kind, as in the original study.
FIVE = ("tiny", "small", "medium", "large", "extra")
#: The original study's thresholds, and those of this pool that stand for its models.
THRESHOLDS = [0.9, 0.8, 0.7, 0.0]
FOUR = ("tiny", "medium", "large")


def images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split."""
    return SPLITS.load(split=split, dataset=params.load().data.name)


def arithmetic() -> None:
    """One threshold setting on 10,000 samples, and 10,000 settings."""
    random = np.random.default_rng(0)
    confidence = random.random((10_000, 4))
    correct = random.random((10_000, 4)) < 0.9
    energy_j = np.array([1e-6, 1e-5, 1e-4, 1e-3]).cumsum()
    samples = np.arange(10_000)
    settings = np.column_stack([random.random((10_000, 3)), np.zeros(10_000)])
    begin = time.perf_counter()
    for thresholds in settings:
        position = cascade(confidence, thresholds)
        correct[samples, position].mean(), energy_j[position].mean()
    seconds = time.perf_counter() - begin
    print(f"one setting on 10,000 samples: {seconds / 10:.3f} ms; 10,000 settings: {seconds:.1f} s")


def tuning_and_certification() -> None:
    """The committed pool, and its five kinds alone: frontiers over all sub-chains; certificates."""
    outcomes = load_outcomes(params.load(), "tuning")
    for pool in (FIVE, outcomes.pool):
        tune(outcomes, pool)
    harmed = np.random.default_rng(0).random((400, 14_200)) < np.linspace(0, 0.05, 400)[:, None]
    begin = time.perf_counter()
    resplit_violations("harm", -harmed.astype(np.int8), 4200, np.array([0.005]), 0.05, 100, seed=0)
    print(f"certifying 400 settings on 100 new splits: {time.perf_counter() - begin:.1f} s")
    print(f"TensorFlow was {'' if 'tensorflow' in sys.modules else 'not '}imported")


def tune(outcomes: Outcomes, pool: tuple[str, ...]) -> None:
    """The frontier over all sub-chains of some models, and intervals of a few of its settings."""
    columns = [outcomes.pool.index(model) for model in pool]
    assert outcomes.readings is not None
    part = replace(
        outcomes,
        pool=pool,
        labels=outcomes.labels[:, columns],
        confidence=outcomes.confidence[:, columns],
        correct=outcomes.correct[:, columns],
        energy_j=outcomes.energy_j[columns],
        readings=Readings(outcomes.readings.per_round_j[:, columns], outcomes.readings.drift),
    )
    begin = time.perf_counter()
    points = tuning.frontier(part, params.load().tuning.settings_per_chain)
    seconds, begin = time.perf_counter() - begin, time.perf_counter()
    for point in points[-RUNS:]:
        score(decide(point.strategy, part), part)
    milliseconds = 1e3 * (time.perf_counter() - begin) / RUNS
    print(
        f"tuning {len(pool)} models over all sub-chains on {len(part)} images, {len(points)} "
        f"undominated settings: {seconds:.1f} s; one of them with intervals: {milliseconds:.0f} ms"
    )


def engine() -> None:
    """What the engine itself costs, with models that answer at once from memory."""
    answers = np.full((10_000, 10), 0.05, np.float32)
    answers[:, 0] = 0.55
    X = np.zeros((10_000, 28, 28), np.uint8)
    models = [lambda X: answers[: len(X)]] * 4
    for batch_size in (1, 256, 10_000):
        run, runs, begin = Cascade(models, [0.9, 0.9, 0.9, 0.0]), 0, time.process_time()
        while time.process_time() - begin < 0.5:
            run(X[:batch_size])
            runs += 1
        micro = 1e6 * (time.process_time() - begin) / runs / batch_size
        print(f"engine, four models that all run, {batch_size:6} a call: {micro:.2f} µs a sample")


def overhead() -> None:
    """What the engine adds to the time of the models, for each cascade of the study."""
    settings = params.load()
    pool, signal = settings.pool, settings.cascading.confidence
    energy_j = ENERGY.load().energy_j(pool, settings.energy.batch_size)
    X, _ = images("test")
    in_models = 0.0

    def timed(name: str) -> Model:
        session = Session(MODEL.path(model=name), 1)

        def run(X: np.ndarray) -> np.ndarray:
            nonlocal in_models
            begin = time.perf_counter()
            p = session(X)
            in_models += time.perf_counter() - begin
            return p

        return run

    for name, strategy in named_strategies(settings).items():
        if strategy.router:
            continue
        run = load(strategy, timed, energy_j, pool, signal)
        shares = []
        for batch_size in (256, 10_000):
            added = []
            for _ in range(RUNS):
                in_models, begin = 0.0, time.perf_counter()
                for start in range(0, len(X), batch_size):
                    run(X[start : start + batch_size])
                added.append((time.perf_counter() - begin) / in_models - 1)
            shares.append(f"{statistics.median(added):.1%} at {batch_size:,} a call")
        print(f"the engine adds to the time of the models of {name}: {', '.join(shares)}")


def original_models() -> tuple[list[Model], list[object]]:
    """The original study's models, trained shortly on part of the images; and their graphs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    X, y = (part[:10_000] for part in images("train"))
    pixels, rows, shape = X.astype(np.float32) / 255, X.reshape(len(X), -1) / 255.0, X.shape[1:]
    tree = DecisionTreeClassifier(max_depth=5).fit(rows, y)
    forest = RandomForestClassifier(20, max_depth=10, n_jobs=1).fit(rows, y)
    mlp = keras.Sequential(
        [layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10, "softmax")]
    )
    cnn = original.network(shape, 10)
    for network in (mlp, cnn):
        network.compile("adam", "sparse_categorical_crossentropy")
        network.fit(pixels, y, epochs=2, verbose=0)
    native = [
        lambda x: tree.predict_proba(x.reshape(1, -1)),
        lambda x: forest.predict_proba(x.reshape(1, -1)),
        lambda x: np.asarray(mlp(x)),
        lambda x: np.asarray(cnn(x)),
    ]
    for model in native:
        model(pixels[:1])
    trees = [
        export_classifier(model, ImageFeatures(shape), "probabilities") for model in (tree, forest)
    ]
    front = pixel_graph(shape, shape)
    networks = [quantize(export_network(model, front), X[:1000]) for model in (mlp, cnn)]
    return native, [*trees, *networks]


def per_sample_loop() -> None:
    """The engine against a loop that calls native models image by image, with equal thresholds.

    The loop is the original study's way: one call of `predict_proba` or of the network per image
    and model. The engine runs the very same models as graphs, and the cascade of this pool; on one
    core and on all.
    """
    native, graphs = original_models()
    X, _ = images("test")

    def loop(X: np.ndarray) -> None:
        for image in X:
            x = (image / 255.0).astype(np.float32)[None]
            for model, threshold in zip(native, THRESHOLDS, strict=True):
                if model(x).max() >= threshold:
                    break

    pool = [*FOUR, params.load().pool[-1]]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{position}.onnx") for position in range(len(graphs))]
        for path, graph in zip(paths, graphs, strict=True):
            path.write_bytes(graph.SerializeToString())
        sessions = {
            "the same models": [Session(path, 1) for path in paths],
            "this pool's": [Session(MODEL.path(model=name), 1) for name in pool],
        }
    for whose, models in sessions.items():
        run = Cascade(models, THRESHOLDS)
        ran = run(X).ran.sum(axis=1).mean()
        print(f"thresholds {THRESHOLDS}, {whose}, {ran:.2f} models an image:")
        for workers in sorted({1, os.cpu_count() or 1}):
            parallel = Parallel(run, workers)
            pairs = [(speed(parallel, X), speed(loop, X[:300])) for _ in range(RUNS)]
            engines, loops = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratios = sorted(fast / slow for fast, slow in pairs)
            print(
                f"  {workers} workers: {engines:,.0f} images a second by the engine, {loops:,.0f} "
                f"by a loop over images and native models: {statistics.median(ratios):,.0f} times "
                f"(from {ratios[0]:,.0f} to {ratios[-1]:,.0f})"
            )


def speed(run: Callable[[np.ndarray], object], X: np.ndarray) -> float:
    """Images a second, once."""
    begin = time.perf_counter()
    run(X)
    return len(X) / (time.perf_counter() - begin)


def peer() -> None:
    """Our cascade of fitted scikit-learn models against scikit-fallback's, call by call."""
    try:
        from skfb.ensemble import ThresholdCascadeClassifier
    except ImportError:
        print("scikit-fallback isn't installed: pip install scikit-fallback compares with it")
        return
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression

    X, y = (part[:5000] for part in images("train"))
    rows, test = (part.reshape(len(part), -1) / np.float32(255) for part in (X, images("test")[0]))
    light = LogisticRegression(C=0.01, max_iter=50).fit(rows, y)
    heavy = ExtraTreesClassifier(200, n_jobs=1, random_state=0).fit(rows, y)
    named = [("light", light), ("heavy", heavy)]
    ours = CascadeClassifier(named, [0.8, 0.0], energies=[1.0, 100.0], prefit=True).fit(rows, y)
    theirs = ThresholdCascadeClassifier([light, heavy], [0.8], return_earray=False, prefit=True)
    labels = ours.predict(test), np.asarray(theirs.predict(test))
    print(f"scikit-fallback gives the same label on {(labels[0] == labels[1]).mean():.2%}")
    seconds: list[list[float]] = [[], []]
    for _ in range(RUNS):
        for classifier, times in zip((ours, theirs), seconds, strict=True):
            begin = time.perf_counter()
            classifier.predict(test)
            times.append(time.perf_counter() - begin)
    print_ratio("CascadeClassifier to scikit-fallback, 10,000 images", *seconds)


def make_idle(folder: Path) -> None:
    """Make the one stage of a clone that follows from thresholds do nothing."""
    path = folder / "dvc.yaml"
    content = yaml.safe_load(path.read_text())
    content["stages"]["evaluate_cascading"]["cmd"] = "true"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    run_command(folder, "dvc", "commit", "-f", "evaluate_cascading")
    run_command(folder, "git", "commit", "-qam", "idle stages")


def run_command(folder: Path, *command: str) -> float:
    """Seconds that a command takes; its failure ends the program."""
    begin = time.perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{command}: {result.stdout}\n{result.stderr}")
    return time.perf_counter() - begin


def print_ratio(label: str, ours: list[float], theirs: list[float]) -> None:
    """Print two series of seconds and their ratio."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{label}: {statistics.median(ours):.2f} s to {statistics.median(theirs):.2f} s, ratio "
        f"median {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def commands() -> None:
    """DVC on this pipeline against DVC on one of equal size whose evaluation does nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = [clone(Path(temporary) / name) for name in ("ours", "idle")]
        make_idle(folders[1])
        no_op: list[list[float]] = [[], []]
        experiment: list[list[float]] = [[], []]
        for turn in range(RUNS):
            for i, folder in enumerate(folders):
                override = f"cascading.thresholds=[0.9,0.8,{0.5 + turn / 100},0.0]"
                command = ("dvc", "exp", "run", "--allow-missing", "-S", override)
                experiment[i].append(run_command(folder, *command))
                no_op[i].append(run_command(folder, "dvc", "repro", "--allow-missing", "--dry"))
        print_ratio("dvc exp run -S cascading.thresholds", *experiment)
        print_ratio("dvc repro with nothing to do", *no_op)


if __name__ == "__main__":
    arithmetic()
    tuning_and_certification()
    engine()
    overhead()
    per_sample_loop()
    peer()
    commands()
