"""Predictions in a file: `.npz` arrays, or a wide or long table as CSV or Parquet."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, FileError, shortened
from eco.predictions import tables
from eco.predictions.columns import Columns

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

#: Columns about samples, beside those about models, that are read as text.
ABOUT_SAMPLES = ("id", "y", "split", "group")
#: What is read of an .npz; group may be called groups.
ARRAYS = (
    *ABOUT_SAMPLES, "time", "models", "confidence", "correct", "probabilities", "classes", "costs",
)  # fmt: skip
#: What the columns of a wide table that are about a model begin with.
ABOUT_MODELS = ("confidence:", "correct:", "cost:", "p:")
COLUMNS = (*ABOUT_SAMPLES, "time", "model", "confidence", "correct", "cost", *ABOUT_MODELS)
DOCUMENTED = "docs/your-own.md says what a file of predictions holds."
COST_REMEDY = "Put it into the file, or give --cost NAME=NUMBER for each model."


def read(path: Path, costs: Mapping[str, float] | None = None) -> Columns:
    """The predictions of a file, by its suffix, unchecked but for their form.

    Parameters
    ----------
    path : Path
    costs : mapping of str to float, optional
        Of each model of the pool, in the order of the pool; in place of costs in the file.
    """
    readers = {".npz": _read_arrays, ".csv": _read_table, ".parquet": _read_table}
    if path.suffix not in readers:
        raise FileError(f"{shortened(path)} must end in one of {', '.join(readers)}", DOCUMENTED)
    if not os.path.isfile(path):  # noqa: PTH113 - false, too, for a name that no file can have
        raise FileError(f"{shortened(path)} must be a file; there is none")
    return readers[path.suffix](path, costs or {})


def _read_arrays(path: Path, costs: Mapping[str, float]) -> Columns:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = _read_as(path, archive.files, ARRAYS)
            arrays = {names[name]: archive[name] for name in archive.files if names[name] in ARRAYS}
            for name, array in arrays.items():
                if not isinstance(array, np.ndarray):
                    raise ValueError(f"{name} is no array")
                if array.dtype.kind == "S":
                    arrays[name] = np.char.decode(array, "utf-8")
    except DataError:
        raise
    except Exception as error:  # what NumPy and zipfile raise is not a closed list
        problem = f"{shortened(path)} must be an .npz without pickled objects; {shortened(error)}"
        raise FileError(problem, DOCUMENTED) from None
    models = _once_each(path, "models", arrays) or []
    kinds = ["probabilities"] if "probabilities" in arrays else ["confidence", "correct"]
    for kind in kinds:
        n_axes = 3 if kind == "probabilities" else 2
        shape = arrays[kind].shape if kind in arrays else None
        if shape is None or len(shape) != n_axes or shape[1] != len(models):
            raise DataError(
                f"{shortened(path)}: {kind} must be an array of {n_axes} axes, samples first, then "
                f"a model for each of the {len(models)} names in models; got "
                f"{'none' if shape is None else shape}",
                DOCUMENTED,
            )
    classes = _once_each(path, "classes", arrays)
    own = _costs_by_model(path, models, arrays.get("costs"))
    pool = tuple(costs or models)
    _refuse_unknown(path, pool, models)
    _once_each(path, "id", arrays)
    by_kind = {
        kind: {model: arrays[kind][:, models.index(model)] for model in pool} for kind in kinds
    }
    return Columns(
        pool,
        dict(costs) or own,
        by_kind.get("confidence", {}),
        by_kind.get("correct", {}),
        by_kind.get("probabilities", {}),
        y=arrays.get("y"),
        classes=tuple(classes) if classes else None,
        split=arrays.get("split"),
        groups=arrays.get("group"),
        times=arrays.get("time"),
        source=str(path),
        cost_remedy=COST_REMEDY,
    )


def _read_as(path: Path, found: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Name under which each array or column is read; one that is nearly a known one is refused."""

    def like(name: str) -> str:
        return re.sub(r"s?(:?)$", r"\1", name.strip().casefold())

    names, meant = {name: name for name in found}, {like(name): name for name in known}
    if "group" not in names and "groups" in names:
        names["groups"] = "group"
    for name, read in names.items():
        kind = "".join(read.partition(":")[:2])
        if (right := meant.get(like(kind), kind)) != kind:
            raise DataError(
                f"{shortened(path)}: {shortened(name, 40)!r} is not read; what is read is called "
                f"{right!r}",
                "Rename it, or leave it out.",
            )
    return names


def _costs_by_model(path: Path, names: Sequence[str], costs: Array | None) -> dict[str, Any]:
    if costs is None:
        return {}
    if not costs.ndim or costs.shape[-1] != len(names):
        raise DataError(
            f"{shortened(path)}: costs must hold a number for each of the {len(names)} models, or "
            f"a row of them for each sample; got {costs.shape}",
            DOCUMENTED,
        )
    return {model: costs[..., place] for place, model in enumerate(names)}


def _once_each(path: Path, name: str, arrays: Mapping[str, Array]) -> list[str] | None:
    """An array of names that are all different, if there is one."""
    if name not in arrays:
        return None
    if arrays[name].ndim != 1:
        shape = arrays[name].shape
        raise DataError(f"{shortened(path)}: {name} must have one axis; got {shape}", DOCUMENTED)
    names: dict[str, int] = {}
    for row, value in enumerate(map(str, arrays[name].tolist())):
        if names.setdefault(value, row) != row:
            found = f"got {shortened(value, 40)} twice, in rows {names[value]} and {row}"
            raise DataError(f"{shortened(path)}: {name} must name each once; {found}")
    return list(names)


def _refuse_unknown(path: Path, pool: Sequence[str], names: Sequence[str]) -> None:
    if unknown := [model for model in pool if model not in names]:
        raise DataError(
            f"{shortened(path)}: holds no model {unknown[0]}; there are: {', '.join(names)}",
            "Give --cost the names that the file has.",
        )


@dataclass(frozen=True, eq=False)
class _Table:
    """A data frame, and how its rows are called."""

    frame: "pd.DataFrame"
    path: Path

    @property
    def source(self) -> str:
        return str(self.path)

    def row(self, number: int) -> str:
        """A line of a text file counts from 1, its head included."""
        return f"line {number + 2}" if self.path.suffix == ".csv" else f"row {number}"

    def error(self, problem: str) -> DataError:
        return DataError(f"{shortened(self.path)}: {problem}", DOCUMENTED)

    def get(self, name: str) -> Any:
        return self.frame[name].to_numpy() if name in self.frame else None


def _read_table(path: Path, costs: Mapping[str, float]) -> Columns:
    with tables.read_errors(path, shortened(path)):
        frame = tables.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    frame = frame.rename(columns=str)
    frame = frame.rename(columns=_read_as(path, frame.columns, COLUMNS))
    table = _Table(frame, path)
    for name in frame.columns[frame.columns.duplicated()]:
        if name in COLUMNS or name.startswith(ABOUT_MODELS):
            raise table.error(f"must give each column another name; got {name!r} twice")
    if frame.empty:
        raise table.error("must hold a row for each sample; got none")
    return _long(table, costs) if "model" in frame else _wide(table, costs)


def _read_csv(path: Path) -> "pd.DataFrame":
    names = tables.read_header(path, shortened(path))
    # Names as they are written: a model may be called NA.
    as_text = {*ABOUT_SAMPLES, "groups", "model"}
    text = {place: str for place, name in enumerate(names) if name in as_text}
    frame = tables.read_rows(path, names, dtype=text, keep_default_na=False, na_values=[""])
    return frame.set_axis(names, axis=1)


def _wide(table: _Table, costs: Mapping[str, float]) -> Columns:
    """One row for each sample; columns such as ``confidence:MODEL``."""
    frame = table.frame
    parts = [_parts(table, name) for name in frame if name.startswith(ABOUT_MODELS)]
    models = list(dict.fromkeys(model for _, model, _ in parts))
    classes = list(dict.fromkeys(label for kind, _, label in parts if kind == "p"))
    pool = tuple(costs or models)
    if not models:
        raise table.error(
            "must have columns such as confidence:MODEL and correct:MODEL, or p:MODEL:CLASS and "
            f"y, or a column model; got {', '.join(map(str, frame.columns))}"
        )
    _refuse_unknown(table.path, pool, models)
    if "id" in frame:
        _refuse_repeated(table, ["id"])

    def of(kind: str) -> dict[str, Any]:
        names = {model: f"{kind}:{model}" for model in pool}
        return {model: frame[name].to_numpy() for model, name in names.items() if name in frame}

    probabilities = {}
    for model in pool if classes else ():
        names = [f"p:{model}:{label}" for label in classes]
        if lacking := [name for name in names if name not in frame]:
            raise table.error(f"must have the column {lacking[0]}: a class of {model}")
        probabilities[model] = frame[names].to_numpy()
    return Columns(
        pool,
        dict(costs) or of("cost"),
        of("confidence"),
        of("correct"),
        probabilities,
        table.get("y"),
        tuple(classes) or None,
        table.get("split"),
        table.get("group"),
        table.get("time"),
        table.source,
        lambda sample, model=None: table.row(sample),  # noqa: ARG005
        COST_REMEDY,
    )


def _parts(table: _Table, name: str) -> tuple[str, str, str]:
    """Kind, model and class of a column; a model may hold colons, a class of a wide table none."""
    kind, _, model = name.partition(":")
    model, _, label = model.rpartition(":") if kind == "p" else (model, "", "")
    if not model:
        raise table.error(f"columns about a model must name it, as p:MODEL:CLASS does; got {name}")
    return kind, model, label


def _long(table: _Table, costs: Mapping[str, float]) -> Columns:
    """One row for each model and sample, which ``id`` names."""
    frame = table.frame
    for name in ("id", "model"):
        if name not in frame:
            raise table.error(f"must have a column {name}, as it has a row for each model")
        if (empty := frame[name].isna().to_numpy()).any():
            raise table.error(f"{name}, {table.row(int(empty.argmax()))}: must not be empty")
    _refuse_repeated(table, ["id", "model"])
    names, classes = [str(name) for name in frame["model"].unique()], _classes(frame)
    pool = tuple(costs or names)
    _refuse_unknown(table.path, pool, names)
    frame = frame[frame["model"].astype(str).isin(pool)]
    samples, ids = frame["id"].factorize()
    rows = np.full((len(ids), len(pool)), -1)
    rows[samples, [pool.index(str(name)) for name in frame["model"]]] = frame.index
    _refuse_lacking(table, rows, ids, pool)
    columns = {"confidence": ["confidence"], "correct": ["correct"], "cost": ["cost"]}
    columns["probabilities"] = [f"p:{label}" for label in classes]

    def of(kind: str) -> dict[str, Any]:
        if not columns[kind] or not set(columns[kind]) <= set(table.frame):
            return {}
        given = table.frame[columns[kind]].to_numpy()
        given = given if kind == "probabilities" else given[:, 0]
        return {model: given[rows[:, place]] for place, model in enumerate(pool)}

    def place(sample: int, model: str | None = None) -> str:
        number = rows[sample, 0 if model is None else pool.index(model)]
        return f"{table.row(int(number))} (id {shortened(ids[sample], 40)})"

    return Columns(
        pool,
        dict(costs) or of("cost"),
        of("confidence"),
        of("correct"),
        of("probabilities"),
        _of_sample(table, rows, "y", place),
        tuple(classes) or None,
        _of_sample(table, rows, "split", place),
        _of_sample(table, rows, "group", place),
        _of_sample(table, rows, "time", place),
        table.source,
        place,
        COST_REMEDY,
    )


def _classes(frame: "pd.DataFrame") -> list[str]:
    return [str(name)[2:] for name in frame.columns if str(name).startswith("p:")]


def _refuse_repeated(table: _Table, keys: list[str]) -> None:
    repeated = table.frame.duplicated(keys).to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        found = ", ".join(f"{key} {shortened(table.frame[key].iloc[row], 40)}" for key in keys)
        raise table.error(f"{table.row(row)}: each may stand once; got {found} again")


def _refuse_lacking(table: _Table, rows: Array, ids: Any, pool: Sequence[str]) -> None:
    """Refuse a sample that lacks a model; where a whole split does, by the name of the split."""
    lacking = np.argwhere(rows < 0)
    if not len(lacking):
        return
    sample, model = (int(number) for number in lacking[0])
    if "split" in table.frame:
        split = table.frame["split"].to_numpy()[rows.max(axis=1)]
        for part in dict.fromkeys(split.tolist()):
            absent = (rows[split == part] < 0).all(axis=0)
            if absent.any():
                problem = f"must hold every model in every split; got no {pool[absent.argmax()]}"
                raise table.error(f"model: {problem} in {part}")
    found = f"got none of model {pool[model]} for id {shortened(ids[sample], 40)}"
    raise table.error(f"must hold a row of every model for every id; {found}")


def _of_sample(table: _Table, rows: Array, name: str, place: Any) -> Array | None:
    """A value of each sample, which its rows must agree on."""
    if name not in table.frame:
        return None
    values = table.frame[name].to_numpy()[rows]
    differ = table.frame[name].factorize()[0][rows] != table.frame[name].factorize()[0][rows[:, :1]]
    if differ.any():
        sample, model = (int(number) for number in np.argwhere(differ)[0])
        found = f"{values[sample, 0]} and {values[sample, model]}"
        raise table.error(f"{name}, {place(sample)}: must be the same in every row; got {found}")
    return np.asarray(values[:, 0])
