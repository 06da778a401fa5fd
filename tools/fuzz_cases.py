"""The cases of `make fuzz`: what is changed in a small study, and what then works on it."""

import gzip
import importlib
import io
import json
import os
import struct
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from eco import CascadeClassifier, RoutingClassifier
from eco.cli import main as eco_main
from eco.errors import EcoError, reported
from eco.workflow import artifacts, params
from tools import mutations
from tools.mutations import Random, choose, short

Action = Callable[[], object]
#: By file the commands and stages that read it; a tuple is a command, a text a stage.
READERS: dict[str, Sequence[Any]] = {
    "data/energy.json": [("predict", "test"), ("doctor",), "label_oracle", "evaluate_cascading"],
    "data/router_energy.json": [("doctor",), "evaluate_routing", "certify"],
    "data/frontier.json": [("tune", "--max-accuracy-loss", "3"), "evaluate_frontier", "certify"],
    "data/certified.json": [("show",), "evaluate_frontier", "evaluate_routing"],
    "metrics/models.json": [("show",)],
    "metrics/doctor.json": [("doctor",)],
    "metrics/training/*.json": ["footprint", "evaluate_cascading"],
    "metrics/[tefr]*.json": ["footprint"],
    "plots/strategies.json": [("show",), "compare"],
    "plots/routing.json": [("show",), "compare"],
    "plots/[cm]*ing.json": [("show",)],
    "plots/metered.json": [("show",)],
    "plots/curves.json": ["compare"],
    "data/labels.npz": [("predict", "test"), "label_oracle", "evaluate_cascading"],
    "data/test.npz": [("predict", "test", "-o", "answers.csv"), ("predict", "test", "--compare")],
    "data/predictions/*.npz": [("tune", "--energy-budget", ".5"), "label_oracle", "tune"],
    "data/*_scores.npz": ["evaluate_routing", "certify"],
    "data/router.npz": ["evaluate_routing"],
    "models/calibrated/*.onnx": [("predict", "test", "-s", "always {}"), "predict {}"],
    "models/quantized/*.onnx": ["calibrate {}"],
    "models/trained/*.onnx": ["quantize {}"],
    "models/routers/p*_router.onnx": [("predict", "test", "-s", "{}, certified")],
}
#: Files that a command or stage writes, where it succeeds.
WRITTEN = (
    "answers.*",
    "data/*",
    "metrics/*",
    "plots/*",
    "models/calibrated/*",
    "models/quantized/*",
)


@dataclass(frozen=True)
class Case:
    """A change, in words, what works on it, whether it must be refused, and what may be written."""

    kind: str
    what: str
    action: Action
    refused: bool = False
    outputs: tuple[str, ...] = ()


def make(number: int, seed: int) -> Case:
    """Change the study in the working folder as the case of a number does; return the case."""
    kind = list(KINDS)[number % len(KINDS)]
    return KINDS[kind](np.random.default_rng([seed, number]))


def command(*arguments: Any) -> Action:
    """`eco` with arguments."""
    return partial(eco_main.main, [str(a) for a in arguments], prog_name="eco")


def stage(name: str, *arguments: str) -> Action:
    """A stage, as DVC runs it."""

    def run() -> None:
        with reported():
            importlib.import_module(f"stages.{name}").main(*arguments)

    return run


def reader(rng: Random, pattern: str, name: str) -> tuple[str, Action]:
    """In words and to run: something that reads a file, whose name stands for `{}`."""
    chosen = choose(rng, READERS[pattern])
    if isinstance(chosen, tuple):
        arguments = [part.format(name) for part in chosen]
        return f"eco {' '.join(arguments)}", command(*arguments)
    words = chosen.format(name)
    return f"stages/{words}", stage(*words.split())


def _file(rng: Random, suffix: str) -> tuple[Path, str, Action]:
    """A file of the study with a suffix, and in words and to run what reads it."""
    pattern = choose(rng, [pattern for pattern in READERS if pattern.endswith(suffix)])
    path = choose(rng, sorted(Path().glob(pattern)))
    return path, *reader(rng, pattern, path.stem)


def settings(rng: Random) -> Case:
    """Values of params.yaml."""
    change = mutations.tree(rng, yaml.safe_load(params.PATH.read_text()))
    params.PATH.write_text(yaml.safe_dump(change.value, sort_keys=False), encoding="utf-8")
    words, action = _with_settings(rng)
    return Case("settings", f"{change.what}; {words}", action, change.refused, ("answers.csv",))


def syntax(rng: Random) -> Case:
    """The text of params.yaml."""
    text = params.PATH.read_text()
    if rng.random() < 0.2:
        changed = mutations.raw(rng, text.encode())
        params.PATH.write_bytes(changed.value)
    else:
        changed = mutations.text(rng, text)
        params.PATH.write_bytes(changed.value.encode("utf-8", "surrogatepass"))
    words, action = _with_settings(rng)
    return Case("syntax", f"{changed.what}; {words}", action, outputs=("answers.csv",))


def _with_settings(rng: Random) -> tuple[str, Action]:
    arguments = choose(rng, [
        ["show"], ["doctor"], ["predict", "test", "-o", "answers.csv"],
        ["tune", "--energy-budget", "1"],
    ])  # fmt: skip
    return f"eco {' '.join(arguments)}", command(*arguments)


def tables(rng: Random) -> Case:
    """JSON files of the workflow."""
    path, words, action = _file(rng, ".json")
    if rng.random() < 0.15:
        change = mutations.raw(rng, path.read_bytes())
        path.write_bytes(change.value)
    else:
        change = mutations.tree(rng, json.loads(path.read_text()))
        path.write_text(json.dumps(change.value))
    # What a file says about its making is only shown, and the doctor goes on after a damaged file.
    is_read = path.parts[0] == "data" and "doctor" not in words
    refused = change.refused and is_read and change.path[0] != "provenance"
    return Case("tables", f"{path}: {change.what}; {words}", action, refused, WRITTEN)


def arrays(rng: Random) -> Case:
    """NumPy files of the workflow."""
    path, words, action = _file(rng, ".npz")
    if rng.random() < 0.3:
        change = mutations.raw(rng, path.read_bytes())
        path.write_bytes(change.value)
    else:
        with np.load(path) as archive:
            change = mutations.arrays(rng, dict(archive))
        np.savez(path, **change.value)
    # A split that is spoilt isn't read by everything, but the images of test are.
    refused = change.refused and path.name == "test.npz"
    return Case("arrays", f"{path}: {change.what}; {words}", action, refused, WRITTEN)


def models(rng: Random) -> Case:
    """ONNX files."""
    path, words, action = _file(rng, ".onnx")
    change = (mutations.raw if rng.random() < 0.4 else mutations.graph)(rng, path.read_bytes())
    path.write_bytes(change.value)
    (path.parent / "inside.bin").write_bytes(b"\0" * 2**16)
    # The scores of a router are no probabilities.
    refused = change.refused and not ("router" in path.stem and change.what in mutations.SCORES)
    return Case("models", f"{path}: {change.what}; {words}", action, refused, WRITTEN)


def streams(rng: Random) -> Case:
    """Files of images and labels that `eco predict` and `data.path` take."""
    X, y = artifacts.SPLITS.load(split="test", dataset=params.load().data.name)
    X, y, name = X[:9], y[:9], choose(rng, ["X.npy", "X.npz", "X-idx3-ubyte", "X.npy.gz"])
    stream = io.BytesIO()
    if name == "X.npz":
        change = mutations.arrays(rng, {"X": X, "y": y})
        choose(rng, [np.savez, np.savez_compressed])(stream, **change.value)
        content = stream.getvalue()
    elif name == "X-idx3-ubyte":
        content = struct.pack(">4B3I", 0, 0, 8, 3, *X.shape) + X.tobytes()
        change = mutations.raw(rng, content, head=20)
        content = change.value
    else:
        np.save(stream, X)
        change = mutations.npy_header(rng, stream.getvalue())
        content = change.value
    if rng.random() < 0.3 or not change.refused:
        again = mutations.raw(rng, content, head=128)
        content, change = again.value, mutations.Change(None, f"{change.what}, {again.what}")
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    words, action = _read_stream(rng, name, y)
    # Labels that are given take the place of those in the file.
    refused = change.refused and not (change.what.startswith("y: ") and "--labels" in words)
    return Case("streams", f"{name}: {change.what}; {words}", action, refused, WRITTEN)


def _read_stream(rng: Random, name: str, y: Any) -> tuple[str, Action]:
    np.save("y.npy", y)
    if name == "X.npz" and rng.random() < 0.3:
        content = yaml.safe_load(params.PATH.read_text())
        content["data"] |= {"name": "own", "path": name}
        params.PATH.write_text(yaml.safe_dump(content, sort_keys=False))
        return "stages/fetch", stage("fetch")
    extra = choose(rng, [[], ["--labels", "y.npy"], ["-o", "answers.csv"], ["--labels", name]])
    arguments = ["predict", name, *extra]
    return f"eco {' '.join(arguments)}", command(*arguments)


#: Names for files, as they come and as they shouldn't.
NAMES = (
    "test", "train", "", ".", "-", "..", "/", "/dev/null", "/dev/full", "/proc/self/mem", "fifo",
    "loop", "x" * 300 + ".csv", "y" * 5000, "a/" * 2000 + "b.csv", "a\nb.csv", "\udcff.csv",
    "answers.csv", "answers.json", "answers.npz", "answers.parquet", "answers.zip", "é.json",
    "new/answers.csv", "data/labels.npz", "data/energy.json", "metrics/models.json", "params.yaml",
    "link.csv", "data/link.json", "./data/../data/labels.npz", "models/calibrated/answers.csv",
    "X.npy", "X*.npy", "no*", "s3://bucket/X.npy",
)  # fmt: skip
NUMBERS = (
    "0",
    "-1",
    "1",
    "7",
    "4096",
    "10000000",
    "9" * 40,
    "1e3",
    "nan",
    "inf",
    "0.5",
    "",
    "x",
    "²",
)
#: Where `eco predict` may write.
ANSWERS = (
    "answers.*",
    "new/answers.csv",
    "é.json",
    "*b.csv",
    "*ff.csv",
    "models/calibrated/answers.csv",
)


def options(rng: Random) -> Case:
    """Arguments of commands."""
    X, _ = artifacts.SPLITS.load(split="test", dataset=params.load().data.name)
    np.save("X.npy", X)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    Path("link.csv").symlink_to("data/energy.json")
    Path("data/link.json").symlink_to("../params.yaml")
    if choose(rng, [False, False, True]):
        option = choose(rng, ["--max-accuracy-loss", "--energy-budget"])
        arguments = ["tune", option, choose(rng, NUMBERS), *choose(rng, [[], [option, "1"]])]
        return Case("options", short(" ".join(arguments), 200), command(*arguments))
    arguments = ["predict", choose(rng, ["test", "X.npy", choose(rng, NAMES)])]
    for option, values in (
        ("-o", NAMES), ("--labels", NAMES), ("-s", NAMES), ("--batch-size", NUMBERS),
        ("--workers", NUMBERS), ("--format", ("csv", "jsonl", "npz", "npy")),
    ):  # fmt: skip
        if rng.random() < (0.6 if option == "-o" else 0.15):
            arguments += [option, choose(rng, values)]
    words = short(" ".join(arguments), 200)
    return Case("options", words, command(*arguments), outputs=ANSWERS)


def estimators(rng: Random) -> Case:
    """Arguments of the estimators, and samples."""
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    X = rng.normal(size=(120, 3))
    y = (X[:, 0] + 0.3 * rng.normal(size=120) > 0).astype(int)
    classifier = choose(rng, [CascadeClassifier, RoutingClassifier])
    own: Mapping[str, Any] = (
        {"thresholds": [0.9, 0.0], "delta": 0.1, "max_harm": 50.0, "settings_per_chain": 50}
        if classifier is CascadeClassifier
        else {"price": 0.1, "router_energy": 0.1}
    )
    arguments = {
        "energies": [1.0, 2.0], "max_accuracy_loss": 5.0, "holdout": 0.5, "watts_per_core": 4.0,
        "measure_s": 1.0, "random_state": 0, "signal": "margin", "prefit": False, **own,
    }  # fmt: skip
    if choose(rng, [True, False]):
        change = mutations.tree(rng, arguments)
        # scikit-learn takes None as a seed, and joules and watts may be of any unit.
        is_large = change.what.endswith(("1e+308", f"{10**31}"))
        refused = change.refused and change.path[0] != "random_state" and not is_large
        arguments = change.value
    else:
        changed = mutations.arrays(rng, {"X": X, "y": y.astype(choose(rng, [int, float, str]))})
        X, y, change, refused = changed.value.get("X"), changed.value.get("y"), changed, False
    pool = [("light", GaussianNB()), ("heavy", DecisionTreeClassifier(max_depth=3))]
    action = partial(_fit, classifier, pool, arguments, X, y)
    return Case("estimators", f"{classifier.__name__}: {change.what}", action, refused)


def _fit(classifier: Any, pool: Any, arguments: Mapping[str, Any], X: Any, y: Any) -> None:
    """Fit and predict; what scikit-learn or this project says about the arguments is a message."""
    try:
        fitted = classifier(pool, **arguments).fit(X, y)
        fitted.predict(X)
        fitted.explain(X)
    except (ValueError, TypeError, EcoError) as error:
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        place = {"eco", "sklearn", "fuzz_cases.py"} & set(Path(innermost).parts)
        if not place:
            raise
        # The length of scikit-learn's own messages isn't ours.
        raise SystemExit(f"Error: {error if place == {'eco'} else str(error)[:100]}") from None


KINDS: dict[str, Callable[[Random], Case]] = {
    one.__name__: one
    for one in (settings, syntax, tables, arrays, models, streams, options, estimators)
}
