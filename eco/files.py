"""Every file of the workflow: where it is, what it must hold, and writing it whole or not at all.

Arrays are stored as `.npz` without pickles. Each array file carries the name of what it holds,
so that two files that were swapped are noticed.
"""

import json
import math
import os
import platform
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.errors import EcoError, FileError

Array = NDArray[Any]

LABELS = Path("data/labels.npz")
ENERGY = Path("data/energy.json")
ROUTER_ENERGY = Path("data/router_energy.json")
METERED = Path("data/metered.json")
FORMATS = Path("data/formats.json")
ORACLE = Path("data/oracle.npz")
ROUTED = Path("data/router.npz")
FRONTIER = Path("data/frontier.json")
CERTIFIED = Path("data/certified.json")

#: The page that shows the whole study.
REPORT = Path("plots/report.html")

#: Held out of training, in the order of their use, and test, on which nothing is ever chosen.
HELD_OUT = ("calibration", "tuning", "certification")
PREDICTED = (*HELD_OUT, "test")
#: The router taught by the oracle, and those that score every model: on the image, on a probe.
ROUTERS = ("router", "price_router", "probe_router")


def images_path(split: str) -> Path:
    """Images and labels of one split."""
    return Path(f"data/{split}.npz")


def targets_path(targets: str) -> Path:
    """What models learn to answer on the images of train: ``hard`` labels, or ``soft`` shares."""
    return Path(f"data/targets/{targets}.npz")


def trained_path(model: str) -> Path:
    """A model as it was trained, an ONNX graph from images to probabilities."""
    return Path(f"models/trained/{model}.onnx")


def quantized_path(model: str) -> Path:
    """A model in the numbers that it will compute with, an ONNX graph of the same form."""
    return Path(f"models/quantized/{model}.onnx")


def model_path(model: str) -> Path:
    """The calibrated model that the strategies run, an ONNX graph of the same form."""
    return Path(f"models/{model}.onnx")


def router_path(router: str) -> Path:
    """A router, an ONNX graph from images, or a probe's probabilities, to its scores."""
    return Path(f"models/{router}.onnx")


def predictions_path(model: str) -> Path:
    """Probabilities of one model on every split but train."""
    return Path(f"data/predictions/{model}.npz")


def metrics_path(name: str) -> Path:
    """A small JSON file that `dvc metrics` shows."""
    return Path(f"metrics/{name}.json")


def rows_path(name: str) -> Path:
    """Rows of a plot that `dvc plots` draws."""
    return Path(f"plots/{name}.json")


def picture_path(name: str) -> Path:
    """A picture."""
    return Path(f"plots/{name}.png")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` only when it is complete.

    Parameters
    ----------
    path : Path
        The file to replace; its folder is made if need be.

    Yields
    ------
    BinaryIO
        A stream. If the block raises, `path` is left as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as stream:
            yield stream
        draft.replace(path)
    except OSError as error:
        raise FileError(
            f"{path} could not be written: {error.strerror or error}. "
            "Whatever stood there is unchanged. Make room or check the permissions, and run again."
        ) from None
    finally:
        with suppress(OSError):  # where its folder could not be made there is no draft either
            draft.unlink(missing_ok=True)


def save_json(path: Path, content: Any) -> None:
    """Write `content` as JSON that git can diff; NaN and infinity are refused."""
    text = json.dumps(content, indent=1, allow_nan=False)
    with replacing(path) as stream:
        stream.write(text.encode() + b"\n")


def save_metrics(name: str, content: Mapping[str, Any]) -> None:
    """Write metrics, floats to six significant digits, so that differences are real ones."""
    save_json(metrics_path(name), _rounded(content))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def save_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows of a plot, floats to six significant digits."""
    save_json(rows_path(name), _rounded(list(rows)))


def load_json(path: Path, stage: str) -> Any:
    """Read a JSON file that `stage` writes."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise _broken(path, f"is not valid JSON ({error})", stage) from None


def load_rows(name: str, keys: Sequence[str], stage: str) -> list[dict[str, Any]]:
    """Rows of a plot that `stage` writes: at least one, each with the given keys."""
    path = rows_path(name)
    rows = load_json(path, stage)
    if not isinstance(rows, list) or not rows:
        raise _broken(path, "must hold a list of rows", stage)
    for row in rows:
        if not isinstance(row, dict) or not set(keys) <= row.keys():
            raise _broken(path, f"must hold rows with {', '.join(keys)}", stage)
    return rows


def save_arrays(path: Path, holds: str, **arrays: Array) -> None:
    """Write named arrays, and what they hold, to a compressed `.npz`.

    The same arrays give the same bytes. They are packed by bzip2, which `numpy.load` reads like
    any other and which takes a third less than NumPy's own packing of probabilities.
    """
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in {"holds": np.array(holds), **arrays}.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whenever it is written
            member.compress_type = zipfile.ZIP_BZIP2
            with archive.open(member, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def load_arrays(path: Path, holds: str, names: Sequence[str], stage: str) -> dict[str, Array]:
    """Read named arrays from a `.npz` that `stage` writes.

    Parameters
    ----------
    path : Path
        The file.
    holds : str
        What the file must say that it holds.
    names : sequence of str
        The arrays that must be in it.
    stage : str
        The stage to name when the file must be made anew.

    Raises
    ------
    FileError
        If the file is missing, unreadable, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = str(archive["holds"])
            if found != holds:
                raise _broken(path, f"must hold {holds}, but holds {found}", stage)
            return {name: archive[name] for name in names}
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except KeyError as error:
        raise _broken(path, f"lacks {error.args[0]}", stage) from None
    except EcoError:
        raise
    except Exception as error:  # what NumPy raises on damaged bytes is not a closed list
        raise _broken(path, f"is not a complete .npz file ({error})", stage) from None


def save_images(split: str, dataset: str, X: Array, y: Array) -> None:
    """Write the images and labels of one split."""
    save_arrays(images_path(split), f"{split} images of {dataset}", X=X, y=y)


def load_images(split: str, dataset: str) -> tuple[Array, Array]:
    """Images and labels of one split.

    Returns
    -------
    X : array of shape (n_samples, height, width), uint8
        Pixels.
    y : array of shape (n_samples,), uint8
        Labels.
    """
    path = images_path(split)
    arrays = load_arrays(path, f"{split} images of {dataset}", ["X", "y"], "fetch")
    X, y = arrays["X"], arrays["y"]
    if X.dtype != np.uint8 or X.ndim != 3 or len(X) == 0 or y.shape != (len(X),):
        problem = f"must hold uint8 images (n, height, width) with a label each, got {X.shape}"
        raise _broken(path, f"{problem} {X.dtype} and labels {y.shape}", "fetch")
    return X, y


def save_targets(targets: str, dataset: str, y: Array) -> None:
    """Write what models learn to answer, shares to four decimals."""
    rounded = np.round(y, 4) if y.dtype.kind == "f" else y
    save_arrays(targets_path(targets), f"{targets} targets of {dataset}", y=rounded)


def load_targets(targets: str, dataset: str, stage: str) -> Array:
    """What models learn to answer on the images of train.

    Returns
    -------
    array of shape (n_samples,), uint8, or (n_samples, n_classes), float32
        Labels of ``hard`` targets; of ``soft`` ones the share of each class, which sum to 1.
    """
    path = targets_path(targets)
    y = load_arrays(path, f"{targets} targets of {dataset}", ["y"], stage)["y"]
    if targets == "hard":
        fits = y.dtype == np.uint8 and y.ndim == 1 and len(y)
    else:
        fits = y.dtype == np.float32 and y.ndim == 2 and _sum_to_1(y)
    if not fits:
        kind = "uint8 labels" if targets == "hard" else "float32 shares of the classes"
        raise _broken(path, f"must hold {kind} for each image, got {y.dtype} {y.shape}", stage)
    return y


def save_labels(dataset: str, class_names: Sequence[str], **labels: Array) -> None:
    """Write the labels of every split but train, small enough for git."""
    save_arrays(LABELS, f"labels of {dataset}", class_names=np.array(class_names), **labels)


def load_labels(split: str, dataset: str) -> Array:
    """Labels of one split, (n_samples,) uint8."""
    arrays = load_arrays(LABELS, f"labels of {dataset}", [split, "class_names"], "fetch")
    y, n_classes = arrays[split], len(arrays["class_names"])
    if y.dtype != np.uint8 or y.ndim != 1 or len(y) == 0 or y.max() >= n_classes:
        problem = f"must hold {split} labels from 0 to {n_classes - 1}, uint8"
        raise _broken(LABELS, f"{problem}, got {y.dtype} {y.shape}", "fetch")
    return y


def load_class_names(dataset: str) -> list[str]:
    """What each class is called, in label order."""
    arrays = load_arrays(LABELS, f"labels of {dataset}", ["class_names"], "fetch")
    return [str(name) for name in arrays["class_names"]]


def save_predictions(model: str, dataset: str, **probabilities: Array) -> None:
    """Write the probabilities of one model, rounded to the fourth decimal.

    Rounding keeps the files small enough for git, and equal where a thread count changes the
    last bits.
    """
    rounded = {split: np.round(p, 4).astype(np.float32) for split, p in probabilities.items()}
    save_arrays(predictions_path(model), f"predictions of {model} on {dataset}", **rounded)


def load_predictions(pool: Sequence[str], split: str, dataset: str) -> Array:
    """Probabilities of every model of the pool on one split.

    Returns
    -------
    array of shape (n_samples, n_models, n_classes), float32
        Each row sums to 1 within the rounding of the files.

    Raises
    ------
    FileError
        If a file is missing, damaged, of another model, or doesn't fit the labels.
    """
    n_samples = len(load_labels(split, dataset))
    n_classes = len(load_class_names(dataset))
    stack = np.empty((n_samples, len(pool), n_classes), np.float32)
    for column, model in enumerate(pool):
        path, stage = predictions_path(model), f"predict@{model}"
        holds = f"predictions of {model} on {dataset}"
        p = load_arrays(path, holds, [split], stage)[split]
        if p.shape != (n_samples, n_classes):
            fits = f"must be ({n_samples}, {n_classes}) for the labels in {LABELS}"
            raise _broken(path, f"does not fit: {split} {fits}, got {p.shape}", stage)
        if not np.isfinite(p).all() or not _sum_to_1(p) or p.min() < 0:
            raise _broken(path, f"holds {split} rows that are not probabilities", stage)
        stack[:, column] = p
    return stack


def _sum_to_1(rows: Array) -> bool:
    """Whether rows of numbers rounded to the fourth decimal summed to 1, or within 0.001 of it."""
    rounding = 0.5e-4 * rows.shape[1]
    return bool((np.abs(rows.sum(axis=1) - 1) <= rounding + 1e-3).all())


def load_choices(path: Path, split: str, pool: Sequence[str], n_samples: int, stage: str) -> Array:
    """Model indices, one per sample of a split, checked against the pool they were made for.

    Returns
    -------
    array of shape (n_samples,), int64
        Indices into `pool`.
    """
    arrays = load_arrays(path, _choices(path, pool), [split], stage)
    choices = arrays[split].astype(np.int64)
    if choices.shape != (n_samples,) or not 0 <= choices.min() <= choices.max() < len(pool):
        problem = f"must hold an index of the {len(pool)} models for each of {n_samples} samples"
        raise _broken(path, f"{problem}, got {choices.shape}", stage)
    return choices


def save_choices(path: Path, pool: Sequence[str], **choices: Array) -> None:
    """Write model indices per split, with the pool they index."""
    small = {split: indices.astype(np.uint8) for split, indices in choices.items()}
    save_arrays(path, _choices(path, pool), **small)


def scores_path(router: str) -> Path:
    """What a router thinks of every model, for every image held out."""
    return Path(f"data/{router}_scores.npz")


def save_scores(router: str, pool: Sequence[str], **scores: Array) -> None:
    """Write, per split, the predicted probability that each model is right, to four decimals."""
    path = scores_path(router)
    rounded = {split: np.round(p, 4).astype(np.float32) for split, p in scores.items()}
    save_arrays(path, f"{path.stem} of {', '.join(pool)}", **rounded)


def load_scores(router: str, split: str, pool: Sequence[str], n_samples: int) -> Array:
    """Predicted probability that each model is right.

    Returns
    -------
    array of shape (n_samples, n_models), float32
    """
    path = scores_path(router)
    holds = f"{path.stem} of {', '.join(pool)}"
    scores = load_arrays(path, holds, [split], "train_router")[split]
    if scores.shape != (n_samples, len(pool)) or not np.isfinite(scores).all():
        problem = f"must hold {split} scores of shape ({n_samples}, {len(pool)})"
        raise _broken(path, f"{problem}, got {scores.shape}", "train_router")
    return scores


def _choices(path: Path, pool: Sequence[str]) -> str:
    return f"choices of the {path.stem} among {', '.join(pool)}"


def load_energy(path: Path, names: Sequence[str], batch_size: int, stage: str) -> Array:
    """Joules per sample of each named workload at one batch size.

    Returns
    -------
    array of shape (n_names,), float64
        J per sample, positive.

    Raises
    ------
    FileError
        If a figure is missing or isn't a positive number.
    """
    rows = energy_rows(path, stage)
    figures = {row["name"]: row["energy_j"] for row in rows if row["batch_size"] == batch_size}
    for name in names:
        if name not in figures:
            raise _broken(path, f"has no energy of {name} at batch size {batch_size}", stage)
        joules = figures[name]
        is_number = isinstance(joules, int | float) and not isinstance(joules, bool)
        if not is_number or not 0 < joules < np.inf:
            problem = f"must give {name} a positive number of joules, got {joules!r}"
            raise _broken(path, problem, stage)
    return np.array([figures[name] for name in names], dtype=np.float64)


def load_readings(
    path: Path, names: Sequence[str], batch_size: int, stage: str
) -> tuple[Array, float]:
    """The single readings behind the figures of `load_energy`, as `intervals.Readings` has them.

    Returns
    -------
    per_round_j : array of shape (n_rounds, n_names), float64
        J per sample in each round; NaN where a window did not count.
    drift : float
        Half-width, as a share, by which a later run may differ beyond that.
    """
    rows = {row["name"]: row for row in energy_rows(path, stage) if row["batch_size"] == batch_size}
    try:
        per_round_j = np.array([rows[name]["readings_j"] for name in names], dtype=np.float64).T
    except (KeyError, TypeError, ValueError):
        problem = f"must give {', '.join(names)} equally many readings_j at {batch_size}"
        raise _broken(path, problem, stage) from None
    return per_round_j, float(load_provenance(path, stage).get("drift", 0.0))


def load_training_j(pool: Collection[str], watts_per_core: float) -> dict[str, float]:
    """Joules that training each model took: its CPU seconds times the watts of a core.

    Training runs for minutes, where neither ticks nor samplers matter.
    """
    return {model: watts_per_core * float(_load_training(model, "cpu_seconds")) for model in pool}


def load_training_beyond_j(
    models: Sequence[str], pool: Sequence[str], watts_per_core: float
) -> float:
    """Joules of training that some models took and always running the last wouldn't have.

    Models that learnt from soft targets took the last one as well, and the making of those
    targets, once for all of them. Negative where `models` do without the last one.
    """
    last = pool[-1]
    taught = any(_load_training(model, "targets") == "soft" for model in models)
    trained = load_training_j({*models, last} if taught else models, watts_per_core)
    beyond = math.fsum(trained.values()) - load_training_j([last], watts_per_core)[last]
    if taught:
        beyond += watts_per_core * load_metric("teaching", ["teaching", "cpu_seconds"], "teach")
    return float(beyond)


def _load_training(model: str, key: str) -> Any:
    return load_metric(f"training/{model}", ["training", model, key], f"train@{model}")


def load_metric(name: str, keys: Sequence[str], stage: str) -> Any:
    """One entry of a metrics file that `stage` writes, by its keys from the outside in."""
    path = metrics_path(name)
    found = load_json(path, stage)
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise _broken(path, f"must hold {'.'.join(keys)}", stage)
        found = found[key]
    return found


class MadeFor(NamedTuple):
    """What found settings hold for: on anything else their thresholds mean nothing."""

    data: str
    batch_size: int
    confidence: str
    pool: list[str]


def save_frontier(made_for: MadeFor, reference: float, frontiers: Mapping[str, Any]) -> None:
    """Write the cascades that were found, what for, and the accuracy of the last model there."""
    found = {"reference_accuracy": reference, "frontiers": frontiers}
    save_json(FRONTIER, {"made_for": made_for._asdict()} | found)


def load_frontier(name: str, made_for: MadeFor) -> tuple[list[dict[str, Any]], float]:
    """One of the frontiers that `tune` found, by rising energy.

    Returns
    -------
    rows : list of dict
        ``models``, ``thresholds``, ``accuracy`` and ``energy_j`` on the tuning split.
    reference : float
        Accuracy of the last model there.
    """
    content = _found(FRONTIER, made_for, "tune")
    try:
        rows, reference = content["frontiers"][name], float(content["reference_accuracy"])
        if not rows or not all(_is_setting(row, made_for.pool, name) for row in rows):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise _broken(FRONTIER, f"must hold settings under frontiers.{name}", "tune") from None
    return rows, reference


def _is_setting(row: Mapping[str, Any], pool: Sequence[str], name: str) -> bool:
    thresholds = 0 if name == "agreement voting" else len(row["models"])
    numbers = [*row["thresholds"], row["accuracy"], row["energy_j"]]
    return (
        len(row["thresholds"]) == thresholds
        and bool(row["models"])
        and set(row["models"]) <= set(pool)
        and all(isinstance(number, int | float) for number in numbers)
    )


def save_certified(made_for: MadeFor, certified: Mapping[str, Any]) -> None:
    """Write, for each kind of strategy, the setting that is certified, or why none is."""
    save_json(CERTIFIED, {"made_for": made_for._asdict(), "certified": certified})


def load_certified(kind: str, made_for: MadeFor) -> dict[str, Any]:
    """The certified setting of one kind of strategy; under ``none``, why there isn't one."""
    content = _found(CERTIFIED, made_for, "certify")
    try:
        row = content["certified"][kind]
        keys = {"none"} if "none" in row else SETTINGS_OF.get(kind, {"price", "threshold"})
        if not keys <= row.keys():
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        problem = f"must hold a setting of {kind} under certified"
        raise _broken(CERTIFIED, problem, "certify") from None
    return row


#: What a certified setting consists of, where it isn't a price and a threshold.
SETTINGS_OF = {"cascade": {"models", "thresholds", "accuracy", "energy_j"}, "router": set[str]()}


def _found(path: Path, made_for: MadeFor, stage: str) -> Any:
    content = load_json(path, stage)
    try:
        there = MadeFor(**content["made_for"])
    except (KeyError, TypeError):
        raise _broken(path, "must say under made_for what it was made for", stage) from None
    for key, wanted, found in zip(MadeFor._fields, made_for, there, strict=True):
        if wanted != found:
            raise _broken(path, f"was made for {key} {found}, not {wanted}", stage)
    return content


def load_provenance(path: Path, stage: str) -> Mapping[str, Any]:
    """Where, when and how the energies of a file were measured."""
    energy_rows(path, stage)
    provenance = load_json(path, stage).get("provenance")
    if not isinstance(provenance, dict) or "grid_g_co2e_per_kwh" not in provenance:
        raise _broken(path, "must say where it was measured, under provenance", stage)
    return provenance


def check_comparable(path: Path, other: Path, stage: str) -> None:
    """Refuse two energy files that were not measured in the same way on one machine."""
    ours, theirs = load_provenance(path, stage), load_provenance(other, stage)
    for key in ("mode", "machine", "watts_per_core", "threads", "call_path"):
        if ours.get(key) != theirs.get(key):
            raise FileError(
                f"{path} and {other} can't be added up: {key} is {ours.get(key)!r} in the one and "
                f"{theirs.get(key)!r} in the other. Measure both anew: make measure"
            )


def machine() -> str:
    """The present machine in one line: processor, cores, system."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        processor = named[0] if named else processor
    return f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def energy_rows(path: Path, stage: str) -> list[Mapping[str, Any]]:
    """The measurements of an energy file, one row per workload and batch size."""
    content = load_json(path, stage)
    rows = content.get("measurements") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"name", "batch_size", "energy_j"} <= row.keys() for row in rows
    ):
        raise _broken(path, "must hold measurements with name, batch_size and energy_j", stage)
    return rows


def _missing(path: Path, stage: str) -> FileError:
    return FileError(f"{path} is missing. {_rebuild(path, stage)}")


def _broken(path: Path, problem: str, stage: str) -> FileError:
    return FileError(f"{path} {problem}. {_rebuild(path, stage)}")


def _rebuild(path: Path, stage: str) -> str:
    return (
        f"Bring back the last committed one with: git checkout HEAD -- {path} || "
        f"dvc checkout {path}; or make it anew: dvc repro -f -s {stage}"
    )
