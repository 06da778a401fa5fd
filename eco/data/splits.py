"""The splits of a data set: Fashion-MNIST, scikit-learn's digits, or one's own."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data import fetch, idx
from eco.errors import DataError, shortened

Array = NDArray[Any]

#: Arrays of an .npz of one's own; without the last two a quarter of the samples becomes test.
ARRAYS = ("X_train", "y_train", "X_test", "y_test")
#: What labels, kept as uint8, can tell apart.
MAX_CLASSES = 256


class Split(NamedTuple):
    """Images, (n_samples, height, width) uint8, and labels, (n_samples,) uint8."""

    X: Array
    y: Array


def load_splits(
    name: str, path: str, shares: Mapping[str, float], seed: int
) -> tuple[dict[str, Split], list[str]]:
    """The splits of a data set, disjoint and stratified: ``train``, those held out, ``test``.

    Parameters
    ----------
    name : str
        ``fashion-mnist``; ``digits``, scikit-learn's bundled data, 8 x 8 pixels; or a name for
        what lies at `path`.
    path : str
        An ``.npz`` with ``X_train``, ``y_train``, ``X_test``, ``y_test`` (or ``X`` and ``y``, of
        which a quarter becomes test) and perhaps ``class_names``; or a folder with four IDX files
        called like those of Fashion-MNIST. For ``fashion-mnist`` a folder that is tried first.
    shares : mapping of str to float
        Held-out splits, and the share of the training images that each takes.
    seed : int
        The same seed gives the same splits.

    Returns
    -------
    splits : dict of str to Split
    class_names : list of str
        In label order.

    Raises
    ------
    DataError
        If no source has the files, they aren't images with labels, or a split would not hold
        every class.
    """
    where = shortened(path or name)
    if name == "digits":
        arrays = _digits()
    elif name == "fashion-mnist":
        arrays = _of_idx(fetch.fetch(fetch.sources(path)))
    else:
        arrays = _own(fetch.expanded(path))
    class_names = arrays.pop("class_names", None)
    if not set(ARRAYS) <= set(arrays):
        arrays = _quarter_for_test(where, arrays["X"], arrays["y"], seed)
    train, test = (
        Split(*_checked(arrays[f"X_{part}"], arrays[f"y_{part}"], f"{where}: {part}"))
        for part in ("train", "test")
    )
    if name == "fashion-mnist":
        names = fetch.CLASSES
    else:
        names = _class_names(where, class_names, train, test)
    return {**_held_out(name, train, shares, seed, len(names)), "test": test}, names


def _held_out(
    name: str, train: Split, shares: Mapping[str, float], seed: int, n_classes: int
) -> dict[str, Split]:
    from sklearn.model_selection import train_test_split

    held_out = {}
    sizes = {split: round(share * len(train.y)) for split, share in shares.items()}
    try:
        # Everything held out is split off at once: the training split depends on its size only.
        X_train, X, y_train, y = train_test_split(
            *train, test_size=sum(sizes.values()), stratify=train.y, random_state=seed
        )
        *first, last = sizes
        for split in first:
            X, X_split, y, y_split = train_test_split(
                X, y, test_size=sizes[split], stratify=y, random_state=seed
            )
            held_out[split] = Split(X_split, y_split)
        held_out[last] = Split(X, y)
        least = min(np.bincount(part.y, minlength=n_classes).min() for part in held_out.values())
        if least < 2:
            raise ValueError(f"a class with {least} images can't be calibrated or judged")
    except ValueError as error:
        counts = ", ".join(f"{split} {size}" for split, size in sizes.items())
        raise DataError(
            f"params.yaml: data.shares must leave images of every class in each split of {name}; "
            f"got {counts} of {len(train.y)} training images ({error})",
            "Raise the smallest share.",
        ) from None
    return {"train": Split(X_train, y_train), **held_out}


def _digits() -> dict[str, Array]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {"X": np.round(bunch.images * (255 / 16)).astype(np.uint8), "y": bunch.target}


def _of_idx(files: Mapping[str, Array]) -> dict[str, Array]:
    return {array: files[name] for array, name in zip(ARRAYS, fetch.SHA256, strict=True)}


def _own(path: Path) -> dict[str, Array]:
    try:
        return _own_folder(path) if path.is_dir() else _own_npz(path)
    except OSError as error:
        problem = f"data.path of params.yaml: {shortened(path)} can't be read: {error.strerror}"
        raise DataError(problem, "Name an .npz file or a folder of IDX files.") from None


def _own_folder(path: Path) -> dict[str, Array]:
    where = f"data.path of params.yaml, {shortened(path)}"
    try:
        files = {
            name: idx.decode(f"{where}: {name}", fetch.decompressed(f"{where}: {name}", content))
            for name, content in fetch.read_folder(path, fetch.SHA256)
        }
    except OSError as error:
        raise DataError(
            f"{where}: {fetch.reason(error)}",
            f"A folder must hold {', '.join(fetch.SHA256)}, each with or without .gz.",
        ) from None
    return _of_idx(files)


def _own_npz(path: Path) -> dict[str, Array]:
    where = f"data.path of params.yaml: {shortened(path)}"
    fetch.check_regular(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(
            f"{where} does not exist in {shortened(Path.cwd())}",
            "Name an .npz file or a folder of IDX files.",
        ) from None
    except Exception as error:  # what NumPy raises on damaged bytes is not a closed list
        raise DataError(
            f"{where} is not an .npz of arrays without pickles ({fetch.reason(error)})",
            "Write it with numpy.savez_compressed.",
        ) from None
    arrays = {name: x for name, x in members.items() if isinstance(x, np.ndarray)}
    allowed, names = f"{', '.join(ARRAYS)}, or X and y", set(arrays)
    if not (set(ARRAYS) <= names or {"X", "y"} <= names):
        held = shortened(", ".join(arrays) or "nothing")
        raise DataError(f"{where} must hold {allowed}; it holds {held}")
    if set(ARRAYS) & names and {"X", "y"} & names:
        raise DataError(
            f"{where} must hold {allowed}, but not both; it holds {shortened(', '.join(arrays))}",
            "Delete those that aren't meant.",
        )
    return arrays


def _quarter_for_test(where: str, X: Array, y: Array, seed: int) -> dict[str, Array]:
    from sklearn.model_selection import train_test_split

    _checked(X, y, where)
    try:
        parts = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    except ValueError as error:
        raise DataError(f"{where}: a quarter of the samples can't become test ({error})") from None
    return dict(zip(("X_train", "X_test", "y_train", "y_test"), parts, strict=True))


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
            return "Make them grey: save X[:, :3].mean(axis=1).astype('uint8')."
        case (_, pixels):
            side = math.isqrt(pixels)
            size = f"{side}, {side}" if side**2 == pixels else "height, width"
            return f"For flat images save X.reshape(-1, {size}); for a single image, X[None]."
        case (_,):
            return "For a single flat image save X.reshape(1, height, width)."
    return "Save an array with these three axes."


def _checked(X: Array, y: Array, where: str) -> tuple[Array, Array]:
    """Images and labels in the workflow's own types."""
    X = X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X
    if X.dtype != np.uint8 or X.ndim != 3 or min(X.shape) == 0:
        hint = "Scale them to 0 to 255 and use .astype('uint8')."
        hint = hint if X.ndim == 3 else shape_hint(X.shape)
        values = f", from {X.min()} to {X.max()}" if X.size and X.dtype.kind in "iuf" else ""
        raise DataError(
            f"{where}: images must be a uint8 array of shape (n_samples, height, width), at least "
            f"one; got {shortened(X.dtype)} of shape {X.shape}{values}",
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
    return X, y.astype(np.uint8)


def _class_names(where: str, names: Array | None, train: Split, test: Split) -> list[str]:
    present = np.unique(train.y)
    if not np.array_equal(present, np.arange(len(present))) or test.y.max() > present[-1]:
        raise DataError(
            f"{where}: training labels must be 0 to k - 1, each present, and test labels among "
            f"them; got {present.tolist()[:20]} and at most {test.y.max()} in test"
        )
    if test.X.shape[1:] != train.X.shape[1:]:
        raise DataError(
            f"{where}: images of train and test must be of one size; got {train.X.shape[1:]} and "
            f"{test.X.shape[1:]}"
        )
    if names is None:
        return [str(label) for label in present]
    if names.shape != present.shape:
        raise DataError(
            f"{where}: class_names must name each of the {len(present)} classes; got shape "
            f"{names.shape}"
        )
    return [str(name) for name in names]
