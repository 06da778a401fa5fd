"""The splits of a data set: Fashion-MNIST, scikit-learn's digits, or one's own."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data import fetch, idx
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
from eco.errors import DataError, shortened

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: Arrays of an .npz of one's own; X and y alone do, too: a quarter of them becomes test.
ARRAYS = ("X_train", "y_train", "X_test", "y_test")
#: The split of whose images each is a draw of its own.
CERTIFYING = "certification"
#: Arrays that say which samples belong together, or in what order they came.
BELONGING = ("groups", "time")
#: What labels, kept as uint8, can tell apart.
MAX_CLASSES = 256


class Split(NamedTuple):
    """Images, (n_samples, height, width) uint8, and labels, (n_samples,) uint8."""

    X: Array
    y: Array


def load_splits(
    name: str, path: str, shares: Mapping[str, float], seed: int
) -> tuple[dict[str, Split], list[str]]:
    """The splits of a data set, disjoint: ``train``, those held out, ``test``.

    What isn't split already is split at random, stratified; where a file names groups, whole
    groups are drawn, and one image of each certifies, since a certificate takes independent draws;
    where it names times, the latest samples are held out.

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
        refused. Or a folder with four IDX files called like those of Fashion-MNIST. For
        ``fashion-mnist`` a folder that is tried first.
    shares : mapping of str to float
        Held-out splits, and the share of the training images, or of their groups, that each takes.
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
        If no source has the files, they aren't images with labels, a group is in two splits, a
        split begins before the one in front of it ends, or one would not hold every class.
    """
    where = shortened(path or name)
    if name == "digits":
        arrays = _digits()
    elif name == "fashion-mnist":
        arrays = _of_idx(fetch.fetch(fetch.sources(path)))
    else:
        arrays = _own(fetch.expanded(path), tuple(shares))
    given = _given(where, arrays, tuple(shares))
    if "" in given:
        given["train"], given["test"] = quarter(where, given.pop(""), seed)
    if name == "fashion-mnist":
        names = fetch.CLASSES
    else:
        names = _class_names(where, arrays.get("class_names"), given)
    splits = _held_out(name, where, given, shares, seed, len(names))
    splits[CERTIFYING] = one_of_each_group(splits[CERTIFYING], seed)
    return {split: Split(each.X, each.y) for split, each in splits.items()}, names


def _given(where: str, arrays: Mapping[str, Array], held_out: Sequence[str]) -> dict[str, Samples]:
    """The samples of each part of a file, in the order of their use; one that is whole is ""."""
    parts = [
        part for part in ("", "train", "val", *held_out, "test") if array_name("X", part) in arrays
    ]
    pairs = {
        part: _checked(
            arrays[array_name("X", part)],
            arrays[array_name("y", part)],
            f"{where}: {part}" if part else where,
        )
        for part in parts
    }
    sizes = {part: len(y) for part, (_, y) in pairs.items()}
    groups, times = (
        {part: arrays[array] for part in parts if (array := array_name(kind, part)) in arrays}
        for kind in BELONGING
    )
    groups = group_numbers(where, groups, sizes) if groups else {}
    times = time_numbers(where, times, sizes) if times else {}
    return {part: Samples(*pair, groups.get(part), times.get(part)) for part, pair in pairs.items()}


def _held_out(
    name: str, where: str, given: Mapping[str, Samples], shares: Mapping[str, float], seed: int,
    n_classes: int,
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
        log.info("whole groups are in one split; one image of each group certifies")
    if source.times is not None:
        log.info("split by time: the latest images are held out")
    all_shares = shares if "val" in given else {"train": 1 - sum(shares.values()), **shares}
    drawn = hold_out(name, source, all_shares, seed, n_classes)
    return {"train": given["train"], **drawn, "test": given["test"]}


def _digits() -> dict[str, Array]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {"X": np.round(bunch.images * (255 / 16)).astype(np.uint8), "y": bunch.target}


def _of_idx(files: Mapping[str, Array]) -> dict[str, Array]:
    return {array: files[name] for array, name in zip(ARRAYS, fetch.SHA256, strict=True)}


def _own(path: Path, held_out: Sequence[str]) -> dict[str, Array]:
    try:
        return _own_folder(path) if path.is_dir() else _own_npz(path, held_out)
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


def _own_npz(path: Path, held_out: Sequence[str]) -> dict[str, Array]:
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
    names = [re.sub("^group(?=_|$)", "groups", name) for name in arrays]
    _check_names(where, names, held_out)
    return dict(zip(names, arrays.values(), strict=True))


def _check_names(where: str, found: Sequence[str], held_out: Sequence[str]) -> None:
    """Refuse arrays of an .npz that don't make a data set together, by their names."""
    allowed, names = f"{', '.join(ARRAYS)}, or X and y", set(found)
    if not (set(ARRAYS) <= names or {"X", "y"} <= names):
        held = shortened(", ".join(found) or "nothing")
        raise DataError(f"{where} must hold {allowed}; it holds {held}")
    _refuse_unknown(where, found, held_out)
    val, own = ({f"{x}_{part}" for x in "Xy" for part in parts} for parts in (["val"], held_out))
    for one, other in (({"X", "y"}, {*ARRAYS, *val, *own}), (val, own)):
        if one & names and other & names:
            raise DataError(
                f"{where} must hold {allowed if 'X' in one else 'X_val or splits of it'}, but not "
                f"both; it holds {shortened(', '.join(found))}",
                "Delete those that aren't meant.",
            )
    for needed in (val, own):
        if needed & names and needed - names:
            raise DataError(
                f"{where} must hold {', '.join(sorted(needed))} together; it lacks "
                f"{', '.join(sorted(needed - names))}"
            )
    kinds = []
    for kind in BELONGING:
        given = {name for name in names if name == kind or name.startswith(f"{kind}_")}
        known = {name.replace("X", kind, 1) for name in names if name == "X" or name[:2] == "X_"}
        divided = kind + ("_val" if val & names else "" if "X" in names else "_train")
        if lost := sorted(given - known):
            raise DataError(
                f"{where}: {lost[0]} must come with {lost[0].replace(kind, 'X', 1)}; there is none"
            )
        if given and divided not in given and not own & names:
            raise DataError(f"{where} must hold {divided}, as it holds {sorted(given)[0]}")
        kinds += [kind] if given else []
    if len(kinds) > 1:
        raise DataError(
            f"{where} must be split by groups or by time, not by both; it holds both",
            "Delete the one or the other.",
        )


def _refuse_unknown(where: str, found: Sequence[str], held_out: Sequence[str]) -> None:
    """Refuse arrays that are called nearly as those that are read, and one that is there twice."""
    parts = ("train", "val", *held_out, "test")
    kinds = ("X", "y", *BELONGING)
    known = {array_name(kind, part) for kind in kinds for part in ("", *parts)} | {"class_names"}
    like = ("x", "y", "group", "time", "class", "split", *parts)
    for place, name in enumerate(found):
        if name in found[:place]:
            raise DataError(f"{where} must hold {name.replace('s', '', 1)} or {name}, not both")
        if name not in known and name.casefold().startswith(like):
            raise DataError(
                f"{where}: {shortened(name, 40)} is not read",
                f"Rename it, or leave it out; {', '.join(kinds)} are read, each alone or, as "
                f"X_train, with {', '.join(parts)}; and class_names.",
            )


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


def _class_names(where: str, names: Array | None, given: Mapping[str, Samples]) -> list[str]:
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
    if names is None:
        return [str(label) for label in present]
    if names.shape != present.shape:
        raise DataError(
            f"{where}: class_names must name each of the {len(present)} classes; got shape "
            f"{names.shape}"
        )
    return [str(name) for name in names]
