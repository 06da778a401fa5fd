"""The splits of a data set: Fashion-MNIST, scikit-learn's digits, or one's own."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data import classes, fetch
from eco.data.division import (
    Samples,
    array_name,
    group_numbers,
    hold_out,
    one_of_each_group,
    quarter,
    require_classes,
    time_numbers,
)
from eco.data.encoding import Encoding, ImageEncoding, TextEncoding, fit_table, fit_text
from eco.data.files import BELONGING, Reading, of_idx, read_own
from eco.errors import DataError, shortened

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: The split of whose samples each is a draw of its own.
CERTIFYING = "certification"
#: Of a class in data that aren't split: one to train on, two in each other split.
LEAST_SAMPLES = 9
#: What labels, kept as uint16, can tell apart.
MAX_CLASSES = 65_536


class Split(NamedTuple):
    """Samples as `eco.data.kinds` lists them, and labels, (n_samples,), as small as may be."""

    X: Array
    y: Array


class DataSet(NamedTuple):
    """Splits by name, names of the classes in label order, and how samples became arrays."""

    splits: dict[str, Split]
    class_names: list[str]
    encoding: Encoding


def load_splits(
    name: str, path: str, shares: Mapping[str, float], seed: int, reading: Reading | None = None
) -> DataSet:
    """The splits of a data set, disjoint: ``train``, those held out, ``test``.

    What isn't split already is split at random, stratified; where a file names groups, whole
    groups are drawn, and one sample of each certifies, since a certificate takes independent draws;
    where it names times, the latest samples are held out. Tables and texts are encoded as ``train``
    alone tells.

    Parameters
    ----------
    name : str
        ``fashion-mnist``; ``digits``, scikit-learn's bundled data, 8 x 8 pixels; or a name for
        what lies at `path`.
    path : str
        An ``.npz`` with ``X_train``, ``y_train``, ``X_test``, ``y_test`` (or ``X`` and ``y``, of
        which a quarter becomes test) and perhaps ``class_names``; perhaps ``X_val`` and ``y_val``
        to hold out, or the same of each of `shares`; perhaps ``groups``, or ``group``, or ``time``
        of whatever ``X`` they belong to, as ``groups_train``; other names that begin like these are
        refused. Of images, or a folder with four IDX files called like those of Fashion-MNIST; of
        tables and texts, or CSV or Parquet. For ``fashion-mnist`` a folder that is tried first.
    shares : mapping of str to float
        Held-out splits, and the share of the training samples, or of their groups, that each takes.
    seed : int
        The same seed gives the same splits.
    reading : Reading, optional
        What samples are, and what of a file is read; by default images.

    Raises
    ------
    DataError
        If no source has the files, they aren't samples with labels, a group is in two splits, a
        split begins before the one in front of it ends, or one would not hold every class.
    """
    where, reading = shortened(path or name), reading or Reading()
    arrays = _arrays(name, path, tuple(shares), reading)
    given, names = _given(where, arrays, tuple(shares), reading)
    if "" in given:
        given["train"], given["test"] = quarter(where, given.pop(""), seed)
    if reading.kind == "images":
        names = _image_classes(where, given)
    if "class_names" in arrays:
        names = _class_names(where, arrays["class_names"], len(names))
    key = "--shares" if reading.by_options else "params.yaml: data.shares"
    splits = _held_out(name, where, given, shares, seed, len(names), key)
    splits[CERTIFYING] = one_of_each_group(splits[CERTIFYING], seed)
    return _encoded(where, splits, names, reading)


def _arrays(name: str, path: str, held_out: Sequence[str], reading: Reading) -> dict[str, Any]:
    if name == "digits":
        return _digits()
    if name == "fashion-mnist":
        names = np.array(fetch.CLASSES)
        return of_idx(fetch.fetch(fetch.sources(path))) | {"class_names": names}
    return read_own(fetch.expanded(path), held_out, reading)


def _encoded(
    where: str, splits: Mapping[str, Samples], names: list[str], reading: Reading
) -> DataSet:
    """The splits as arrays, by what `train` alone tells."""
    X, dtype = splits["train"].X, np.min_scalar_type(len(names) - 1)
    encoding: Encoding
    match reading.kind:
        case "images":
            encoding = ImageEncoding(X.shape[1:])
        case "table":
            encoding = fit_table(X, where)
        case "text":
            encoding = (
                TextEncoding((), X.shape[1])
                if isinstance(X, np.ndarray)
                else fit_text(X, reading.words, reading.length, reading.text, where)
            )
    arrays = {
        split: Split(encoding.encode(each.X, where), each.y.astype(dtype))
        for split, each in splits.items()
    }
    return DataSet(arrays, names, encoding)


def _given(
    where: str, arrays: Mapping[str, Any], held_out: Sequence[str], reading: Reading
) -> tuple[dict[str, Samples], list[str]]:
    """The samples of each part of a file, in the order of their use; one that is whole is "".

    With them the names of the classes, where these aren't numbered already, as those of images are.
    """
    parts = [
        part for part in ("", "train", "val", *held_out, "test") if array_name("X", part) in arrays
    ]
    names: list[str] = []
    X, y = ({part: arrays[array_name(kind, part)] for part in parts} for kind in "Xy")
    if reading.kind == "images":
        for part in parts:
            X[part], y[part] = _checked(X[part], y[part], f"{where}: {part}" if part else where)
    else:
        X = {part: _raw(where, array_name("X", part), X[part], reading) for part in parts}
        is_file = hasattr(arrays.get("X"), "iloc")
        sources = [f"column {reading.target}" if is_file else array_name("y", p) for p in parts]
        labels, names = classes.label(where, dict(zip(sources, y.values(), strict=True)))
        y = dict(zip(parts, labels.values(), strict=True))
        _check_classes(where, X, y, names)
    sizes = {part: len(y[part]) for part in parts}
    groups, times = (
        {part: arrays[array] for part in parts if (array := array_name(kind, part)) in arrays}
        for kind in BELONGING
    )
    groups = group_numbers(where, groups, sizes) if groups else {}
    times = time_numbers(where, times, sizes) if times else {}
    samples = {part: Samples(X[part], y[part], groups.get(part), times.get(part)) for part in parts}
    return samples, names


def _raw(where: str, array: str, X: Any, reading: Reading) -> Any:
    """Rows of a table, or texts, not yet encoded; each knows its number."""
    import pandas as pd

    if isinstance(X, pd.DataFrame | pd.Series):
        return X
    is_text = reading.kind == "text"
    if is_text and X.dtype.kind in "iu" and X.ndim == 2 and X.size:
        return X  # ids of words
    if X.dtype.kind not in ("U" if is_text else "fiub") or X.ndim != 2 - is_text or not X.size:
        must = "texts (n,) or ids of words" if is_text else "numbers (n, n_columns)"
        hint = "Decode them, with .astype(str)." if X.dtype.kind == "S" else ""
        raise DataError(
            f"{where}: {array} must be {must}, at least one; got {X.dtype} of shape {X.shape}",
            hint or f"Or is {reading.key('kind')} another? It is {reading.kind}.",
        )
    rows = [f"{row} of {array}" for row in range(len(X))] if array != "X" else None
    return pd.Series(X, rows, object) if is_text else pd.DataFrame(X, rows)


def _check_classes(
    where: str, X: Mapping[str, Any], y: Mapping[str, Array], names: Sequence[str]
) -> None:
    for part, samples in X.items():
        if len(samples) != len(y[part]):
            raise DataError(
                f"{where}: {array_name('y', part)} must hold a class for each of {len(samples)} "
                f"samples; got {len(y[part])}"
            )
    if not 2 <= len(names) <= MAX_CLASSES:
        raise DataError(
            f"{where}: there must be from 2 to {MAX_CLASSES} classes; got {len(names)}",
            "Name the column with the class, if it is another.",
        )
    counts = np.bincount(next(iter(y.values())))
    if "" in y and counts.min() < LEAST_SAMPLES:
        raise DataError(
            f"{where}: each class must have {LEAST_SAMPLES} samples at least, as five splits hold "
            f"it; got {counts.min()} of {shortened(names[int(counts.argmin())], 40)}",
            "Delete the samples of that class, or merge it with another.",
        )


def _held_out(
    name: str, where: str, given: Mapping[str, Samples], shares: Mapping[str, float], seed: int,
    n_classes: int, key: str,
) -> dict[str, Samples]:  # fmt: skip
    """The splits of the parts of a file: those that it lacks are drawn."""
    if next(iter(shares)) in given:
        try:
            require_classes({split: given[split] for split in ("train", *shares)}, n_classes)
        except ValueError as error:
            problem = f"every class must be in every split ({error})"
            raise DataError(f"{where}: {problem}") from None
        return dict(given)
    source = given.get("val", given["train"])
    if source.groups is not None:
        log.info("whole groups are in one split; one sample of each group certifies")
    if source.times is not None:
        log.info("split by time: the latest samples are held out")
    all_shares = shares if "val" in given else {"train": 1 - sum(shares.values()), **shares}
    drawn = hold_out(name, source, all_shares, seed, n_classes, key)
    return {"train": given["train"], **drawn, "test": given["test"]}


def _digits() -> dict[str, Array]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {"X": np.round(bunch.images * (255 / 16)).astype(np.uint8), "y": bunch.target}


def shape_hint(shape: tuple[int, ...]) -> str:
    """How images of another shape become (n, height, width), as far as the shape tells."""
    match shape:
        case (_, _, _, 1):
            return "Save X[..., 0]."
        case (_, 1, _, _):
            return "Save X[:, 0]."
        case (_, _, _, 3 | 4):
            return "Make them grey: save X[..., :3].mean(axis=3).astype('uint8')."
        case (_, 3 | 4, _, _):
            return "Put the channels last: save X.transpose(0, 2, 3, 1)[..., :3]."
        case (_, pixels):
            side = math.isqrt(pixels)
            size = f"{side}, {side}" if side**2 == pixels else "height, width"
            return f"For flat images save X.reshape(-1, {size}); for a single image, X[None]."
        case (_,):
            return "For a single flat image save X.reshape(1, height, width)."
    return "Save an array with these three axes."


def _checked(X: Array, y: Array, where: str) -> tuple[Array, Array]:
    """Images and labels of one type."""
    X = X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X
    fits = X.ndim == 3 or (X.ndim == 4 and X.shape[-1] == 3)
    if X.dtype != np.uint8 or not fits or min(X.shape) == 0:
        hint = "Scale them to 0 to 255 and use .astype('uint8')." if fits else shape_hint(X.shape)
        if X.ndim == 4 and X.shape[-1] == 4:
            hint = "Leave out the transparency: save X[..., :3]."
        values = f", from {X.min()} to {X.max()}" if X.size and X.dtype.kind in "iuf" else ""
        raise DataError(
            f"{where}: images must be a uint8 array of shape (n_samples, height, width), or "
            f"(n_samples, height, width, 3) in colour, at least one; got {shortened(X.dtype)} of "
            f"shape {X.shape}{values}",
            hint,
        )
    whole = y.dtype.kind in "iu" and y.shape == (len(X),)
    if whole and y.max() >= MAX_CLASSES:
        raise DataError(
            f"{where}: there may be {MAX_CLASSES} classes at most, so labels must be from 0 to "
            f"{MAX_CLASSES - 1}; got {y.max()}",
            "Number the classes 0, 1, 2, ..., or merge the rarest.",
        )
    if not whole or y.min() < 0 or len(np.unique(y)) < 2:
        raise DataError(
            f"{where}: labels must be whole numbers 0, 1, 2, ... of two classes at least, one for "
            f"each of {len(X)} images; got {y.dtype} of shape {y.shape}, values "
            f"{np.unique(y)[:5].tolist()}"
        )
    return X, y.astype(np.int64)


def _image_classes(where: str, given: Mapping[str, Samples]) -> list[str]:
    """Classes of images by their numbers; refuses parts that don't fit each other."""
    train = given["train"]
    present = np.unique(train.y)
    for part, each in given.items():
        if not np.array_equal(present, np.arange(len(present))) or each.y.max() > present[-1]:
            raise DataError(
                f"{where}: training labels must be 0 to k - 1, each present, and {part} labels "
                f"among them; got {present.tolist()[:20]} and at most {each.y.max()} in {part}"
            )
        if each.X.shape[1:] != train.X.shape[1:]:
            raise DataError(
                f"{where}: images of train and {part} must be of one size; got "
                f"{train.X.shape[1:]} and {each.X.shape[1:]}"
            )
    return [str(label) for label in present]


def _class_names(where: str, names: Array, n_classes: int) -> list[str]:
    if names.shape != (n_classes,):
        raise DataError(
            f"{where}: class_names must name each of the {n_classes} classes; got shape "
            f"{names.shape}"
        )
    return [str(name) for name in names]
