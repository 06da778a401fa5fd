"""Files of one's own: arrays of an .npz, IDX files in a folder, tables as CSV or Parquet."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data import fetch, idx, tables
from eco.data.columns import ID, check_cells, texts
from eco.data.division import array_name
from eco.data.kinds import Kind
from eco.errors import DataError, shortened

Array = NDArray[Any]

#: Arrays of an .npz of one's own; X and y alone do, too: a quarter of them becomes test.
ARRAYS = ("X_train", "y_train", "X_test", "y_test")
#: Arrays that say which samples belong together, or in what order they came.
BELONGING = ("groups", "time")


@dataclass(frozen=True)
class Reading:
    """What samples are, and what of a file is read.

    ``target``, ``text``, ``groups``, ``time``: columns of CSV and Parquet, perhaps none ("") of the
    last two; ``words``, ``length``: as for `eco.data.encoding.fit_text`; ``by_options``: whether
    they were given as options of a command, for messages; else in params.yaml.
    """

    kind: Kind = "images"
    target: str = "target"
    text: str = "text"
    groups: str = ""
    time: str = ""
    words: int = 20_000
    length: int = 128
    by_options: bool = False

    def key(self, name: str) -> str:
        """What messages call one of these settings."""
        return f"--{name}" if self.by_options else f"data.{name}"

    @property
    def origin(self) -> str:
        """Where a path comes from."""
        return "--data" if self.by_options else "data.path of params.yaml"

    @property
    def files(self) -> str:
        """The files that hold such samples."""
        if self.kind == "images":
            return "an .npz file or a folder of IDX files"
        return f"a file that ends in one of .npz, {', '.join(tables.SUFFIXES)}"


def of_idx(files: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of IDX files that are called as those of Fashion-MNIST."""
    return {array: files[name] for array, name in zip(ARRAYS, fetch.SHA256, strict=True)}


def read_own(path: Path, held_out: Sequence[str], reading: Reading) -> dict[str, Any]:
    """The arrays of a file or folder, by the names that an ``.npz`` has; X may be of pandas.

    `held_out` names splits that a file may bring. Raises `DataError` if nothing can be read, or
    what there is makes no data set.
    """
    where = f"{reading.origin}: {shortened(path)}"
    try:
        if not tables.is_table(path):
            _refuse_columns(where, reading)
        if path.is_dir() and reading.kind != "images":
            raise DataError(f"{where} must be {reading.files}, not a folder")
        if path.is_dir():
            return _own_folder(path, f"{reading.origin}, {shortened(path)}")
        if tables.is_table(path):
            return _own_table(path, where, reading)
        return _own_npz(path, where, held_out, reading)
    except OSError as error:
        problem = f"{where} can't be read: {error.strerror}"
        raise DataError(problem, f"Name {reading.files}.") from None


def _refuse_columns(where: str, reading: Reading) -> None:
    """Refuse names of columns by which arrays would not be split."""
    for kind in filter(partial(getattr, reading), BELONGING):
        raise DataError(
            f"{where} has no columns, but {reading.key(kind)} names one: "
            f"{shortened(getattr(reading, kind), 40)}",
            f"Put them into an .npz as an array called {kind}, and leave {reading.key(kind)} out.",
        )


def _own_table(path: Path, where: str, reading: Reading) -> dict[str, Any]:
    """The arrays of a table; X is the frame of what no setting names, or the column of texts."""
    if reading.kind == "images":
        kind = reading.key("kind")
        raise DataError(f"{where} must be {reading.files} where {kind} is images", f"Set {kind}.")
    fetch.check_regular(path)
    is_text = reading.kind == "text"
    columns = {kind: getattr(reading, kind) for kind in ("target", *BELONGING)}
    columns |= {"text": reading.text} if is_text else {}
    frame = tables.read_table(path, where, (reading.target, columns.get("text", "")))
    for kind, name in columns.items():
        if name and name not in frame:
            key = reading.key(kind)
            close = difflib.get_close_matches(name[:200], frame.columns, n=1)
            meant = f"Did you mean {shortened(close[0], 40)}? " if close else ""
            raise DataError(
                f"{where} must have the column {shortened(name, 40)} ({key}); it has "
                f"{shortened(', '.join(frame.columns))}",
                f"{meant}Name one of them by {key}.",
            )
    of_column: dict[str, str] = {}
    for kind, name in columns.items():
        if name and of_column.setdefault(name, kind) != kind:
            keys = f"{reading.key(of_column[name])} and {reading.key(kind)}"
            raise DataError(f"{where}: {keys} must name two columns; got {shortened(name, 40)}")
    named = {ID, reading.target, reading.groups, reading.time} & set(frame.columns)
    X = frame[reading.text] if is_text else frame.drop(columns=list(named))
    arrays = {"X": X, "y": frame[reading.target].to_numpy(object)}
    if reading.groups:
        check_cells(frame[reading.groups], reading.groups, where, dates=True)
        groups = texts(frame[reading.groups])
        arrays["groups"] = np.array([group or "" for group in groups])
    if reading.time:
        arrays["time"] = frame[reading.time].to_numpy()
    return arrays


def _own_folder(path: Path, where: str) -> dict[str, Array]:
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
    return of_idx(files)


def _own_npz(path: Path, where: str, held_out: Sequence[str], reading: Reading) -> dict[str, Array]:
    fetch.check_regular(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(
            f"{where} does not exist in {shortened(Path.cwd())}",
            f"Name {reading.files}.",
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
