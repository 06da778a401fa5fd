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
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from eco import files, graphs, params, strategies, tuning
from eco.cascading import cascade, cascade_energy_j, run_cascade
from eco.certification import resplit_violations
from eco.confidence import confidence, correct
from eco.engine import Cascade, Model, OnWorkers
from eco.estimators import CascadeClassifier
from eco.inference import Session
from eco.intervals import Readings
from eco.quantization import quantized
from eco.scoring import operating_point
from stages.meter import strategies_found
from tests.conftest import clone

RUNS = 5
#: One model of each kind, as in the original study.
FIVE = ["tiny", "small", "medium", "large", "extra"]


def arithmetic() -> None:
    """One threshold setting on 10,000 samples, and 10,000 settings."""
    random = np.random.default_rng(0)
    confidence = random.random((10_000, 4))
    correct = random.random((10_000, 4)) < 0.9
    energy_j = np.array([1e-6, 1e-5, 1e-4, 1e-3])
    samples = np.arange(10_000)

    def evaluate(thresholds: np.ndarray) -> tuple[float, float]:
        answered_at = cascade(confidence, thresholds)
        right = correct[samples, answered_at].mean()
        return float(right), float(cascade_energy_j(answered_at, energy_j).mean())

    settings = np.column_stack([random.random((10_000, 3)), np.zeros(10_000)])
    begin = time.perf_counter()
    for thresholds in settings:
        evaluate(thresholds)
    seconds = time.perf_counter() - begin
    print(f"one setting on 10,000 samples: {seconds / 10:.3f} ms; 10,000 settings: {seconds:.1f} s")


def tuning_and_certification() -> None:
    """The committed pool, and its five kinds alone: frontiers over all sub-chains; certificates."""
    for models in (FIVE, params.load().pool):
        tune(models)
    harmed = np.random.default_rng(0).random((400, 14_200)) < np.linspace(0, 0.05, 400)[:, None]
    begin = time.perf_counter()
    resplit_violations(harmed, 4200, np.array([0.005]), 0.05, 100, seed=0)
    print(f"certifying 400 settings on 100 new splits: {time.perf_counter() - begin:.1f} s")
    print(f"TensorFlow was {'' if 'tensorflow' in sys.modules else 'not '}imported")


def tune(pool: list[str]) -> None:
    """The frontier over all sub-chains of some models, with intervals."""
    settings = params.load()
    name, signal = settings.data.name, settings.cascading.confidence
    measured = files.ENERGY, pool, settings.energy.batch_size, "benchmark"
    energy_j, readings = files.load_energy(*measured), Readings(*files.load_readings(*measured))
    probabilities = files.load_predictions(pool, "tuning", name)
    right = correct(probabilities, files.load_labels("tuning", name))
    sure = confidence(probabilities, signal)
    begin = time.perf_counter()
    found = tuning.frontier(sure, right, energy_j, settings.tuning.settings_per_chain)
    bootstrap = [
        operating_point(
            *run_cascade(sure, setting.chain, setting.thresholds),
            right, energy_j, readings, pool,
        )
        for setting in found
    ]  # fmt: skip
    seconds = time.perf_counter() - begin
    print(
        f"tuning {len(pool)} models over all sub-chains on {len(right)} images, with intervals of "
        f"{len(bootstrap)} undominated settings: {seconds:.1f} s"
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
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    X, _ = files.load_images("test", settings.data.name)
    in_models = 0.0

    def timed(name: str) -> Model:
        session = Session(files.model_path(name), 1)

        def run(X: np.ndarray) -> np.ndarray:
            nonlocal in_models
            begin = time.perf_counter()
            p = session(X)
            in_models += time.perf_counter() - begin
            return p

        return run

    for strategy in (s for s in strategies_found(settings) if not s.router):
        run = strategies.loaded(strategy, timed, energy_j, pool, settings.router.probe, signal)
        shares = []
        for batch_size in (256, 10_000):
            added = []
            for _ in range(RUNS):
                in_models, begin = 0.0, time.perf_counter()
                for start in range(0, len(X), batch_size):
                    run(X[start : start + batch_size])
                added.append((time.perf_counter() - begin) / in_models - 1)
            shares.append(f"{statistics.median(added):.1%} at {batch_size:,} a call")
        print(f"the engine adds to the time of the models of {strategy.name}: {', '.join(shares)}")


def per_sample_loop() -> None:
    """The engine against a loop that asks native models image by image, with the same thresholds.

    The loop is the original study's way: its models, trained shortly on part of the images, one
    call of `predict_proba` or of the network per image and model. The engine runs the very same
    models as graphs, and the cascade of this pool; on one core and on all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    settings = params.load()
    X, y = (part[:10_000] for part in files.load_images("train", settings.data.name))
    X_test, _ = files.load_images("test", settings.data.name)
    scaled, rows = X.astype(np.float32) / 255, X.reshape(len(X), -1) / 255.0
    tree = DecisionTreeClassifier(max_depth=5).fit(rows, y)
    forest = RandomForestClassifier(20, max_depth=10, n_jobs=1).fit(rows, y)
    mlp = keras.Sequential(
        [layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10, "softmax")]
    )
    cnn = keras.Sequential(
        [
            layers.Reshape((*X.shape[1:], 1)), layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu"), layers.Flatten(),
            layers.Dense(10, "softmax"),
        ]
    )  # fmt: skip
    for network in (mlp, cnn):
        network.compile("adam", "sparse_categorical_crossentropy")
        network.fit(scaled, y, epochs=2, verbose=0)
    asked = [
        lambda x: tree.predict_proba(x.reshape(1, -1)),
        lambda x: forest.predict_proba(x.reshape(1, -1)),
        lambda x: np.asarray(mlp(x)),
        lambda x: np.asarray(cnn(x)),
    ]
    thresholds = [0.9, 0.8, 0.7, 0.0]
    for model in asked:
        model(scaled[:1])

    def loop(X: np.ndarray) -> None:
        for one in X:
            x = (one / 255.0).astype(np.float32)[None]
            for model, threshold in zip(asked, thresholds, strict=True):
                if model(x).max() >= threshold:
                    break

    shape, some = X.shape[1:], X[:1000]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{position}.onnx") for position in range(len(asked))]
        exported = (
            graphs.export_classifier(tree, shape, "probabilities"),
            graphs.export_classifier(forest, shape, "probabilities"),
            quantized(graphs.export_network(mlp), some),
            quantized(graphs.export_network(cnn), some),
        )
        for path, graph in zip(paths, exported, strict=True):
            path.write_bytes(graph.SerializeToString())
        names = ["tiny", "medium", "large", settings.pool[-1]]
        sessions = {
            "the same models": [Session(path, 1) for path in paths],
            "this pool's": [Session(files.model_path(name), 1) for name in names],
        }
    cores = os.cpu_count() or 1
    for whose, models in sessions.items():
        cascade = Cascade(models, thresholds)
        asks = cascade(X_test).ran.sum(axis=1).mean()
        print(f"thresholds {thresholds}, {whose}, {asks:.2f} models an image:")
        for workers in sorted({1, cores}):
            ours = OnWorkers(cascade, workers)
            pairs = [(speed(ours, X_test), speed(loop, X_test[:300])) for _ in range(RUNS)]
            engines, loops = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratios = sorted(engine / loop for engine, loop in pairs)
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

    settings = params.load()
    X, y = (part[:5000] for part in files.load_images("train", settings.data.name))
    X_test, _ = files.load_images("test", settings.data.name)
    rows, test = (part.reshape(len(part), -1) / np.float32(255) for part in (X, X_test))
    light = LogisticRegression(C=0.01, max_iter=50).fit(rows, y)
    heavy = ExtraTreesClassifier(200, n_jobs=1, random_state=0).fit(rows, y)
    named = [("light", light), ("heavy", heavy)]
    ours = CascadeClassifier(named, [0.8, 0.0], energies=[1.0, 100.0], prefit=True).fit(rows, y)
    theirs = ThresholdCascadeClassifier([light, heavy], [0.8], return_earray=False, prefit=True)
    labels = ours.predict(test), np.asarray(theirs.predict(test))
    print(f"scikit-fallback gives the same label on {(labels[0] == labels[1]).mean():.2%}")
    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(RUNS):
        for name, classifier in (("ours", ours), ("theirs", theirs)):
            begin = time.perf_counter()
            classifier.predict(test)
            taken[name].append(time.perf_counter() - begin)
    in_turn("CascadeClassifier to scikit-fallback, 10,000 images", taken["ours"], taken["theirs"])


def idle(folder: Path) -> None:
    """Make the one stage of a clone that follows from thresholds do nothing."""
    path = folder / "dvc.yaml"
    yaml = YAML()
    content = yaml.load(path)
    content["stages"]["evaluate_cascading"]["cmd"] = "true"
    with path.open("w") as stream:
        yaml.dump(content, stream)
    run(folder, "dvc", "commit", "-f", "evaluate_cascading")
    run(folder, "git", "commit", "-qam", "idle stages")


def run(folder: Path, *command: str) -> float:
    begin = time.perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{command}: {result.stdout}\n{result.stderr}")
    return time.perf_counter() - begin


def in_turn(label: str, ours: list[float], theirs: list[float]) -> None:
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{label}: {statistics.median(ours):.2f} s to {statistics.median(theirs):.2f} s, ratio "
        f"median {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def commands() -> None:
    """DVC on this pipeline against DVC on one of equal size whose evaluation does nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        ours, theirs = (clone(Path(temporary) / name) for name in ("ours", "idle"))
        idle(theirs)
        no_op: dict[Path, list[float]] = {ours: [], theirs: []}
        experiment: dict[Path, list[float]] = {ours: [], theirs: []}
        for turn in range(RUNS):
            for folder in (ours, theirs):
                override = f"cascading.thresholds=[0.9,0.8,{0.5 + turn / 100},0.0]"
                experiment[folder].append(
                    run(folder, "dvc", "exp", "run", "--allow-missing", "-S", override)
                )
                no_op[folder].append(run(folder, "dvc", "repro", "--allow-missing", "--dry"))
        in_turn("dvc exp run -S cascading.thresholds", experiment[ours], experiment[theirs])
        in_turn("dvc repro with nothing to do", no_op[ours], no_op[theirs])


if __name__ == "__main__":
    arithmetic()
    tuning_and_certification()
    engine()
    overhead()
    per_sample_loop()
    peer()
    commands()
