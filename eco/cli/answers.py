"""Answers that `eco predict -o` wrote, read again."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.cli.writers import FORMATS
from eco.errors import DataError, FileError, extra, shortened
from eco.strategies.confidence import DECIMALS
from eco.strategies.strategy import Strategy

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
COLUMNS = ("label", "confidence", "answered_by")
REMEDY = "Name a file that eco predict INPUT -o FILE wrote."
NAME_IT = "Name the strategy that gave the answers with -s."


@dataclass(frozen=True, eq=False)
class AnswerColumns:
    """What a strategy said of samples, (n_samples,) each; ``answered_by`` indexes its models."""

    label: Array
    confidence: Array
    answered_by: Array

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.label)


def read_answers(
    paths: Sequence[Path], name: str, strategy: Strategy, n_classes: int, remedy: str = NAME_IT
) -> AnswerColumns:
    """The answers of a strategy in files, one file after the other.

    Raises
    ------
    FileError
        If a file is none that `eco predict` writes, or can't be read.
    DataError
        If the strategy can't have given an answer, by its model and confidence, for which there is
        the `remedy`; or if a label is none of the classes, or there is no sample.
    """
    parts = []
    for path in paths:
        part = _of_strategy(path, *_read(path), name, strategy, remedy)
        for row in np.flatnonzero((part.label < 0) | (part.label >= n_classes))[:1]:
            problem = f"label must be from 0 to {n_classes - 1}; got {part.label[row]}"
            raise DataError(f"{shortened(path)}, sample {row + 1:,}: {problem}", REMEDY)
        parts.append(part)
    if not any(map(len, parts)):
        raise DataError(f"{shortened(paths[0])} holds no samples", REMEDY)
    return AnswerColumns(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS)
    )


def _read(path: Path) -> tuple[Array, Array, Array]:
    """Labels, confidences, and the names of the models that answered."""
    name = shortened(path)
    if path.suffix not in FORMATS:
        raise FileError(f"{name} must end in one of {', '.join(FORMATS)}", REMEDY)
    if not os.path.isfile(path):  # noqa: PTH113 - false, too, for a name that no file can have
        raise FileError(f"{name} must be a file; there is none", REMEDY)
    try:
        columns = _arrays(path) if path.suffix == ".npz" else _frame(path)
        label, confidence, by = (np.asarray(columns[column]) for column in COLUMNS)
        by = by.astype(str)
    except FileError:  # a missing package
        raise
    except Exception as error:  # what NumPy, pandas and zipfile raise is not a closed list
        reason = shortened(str(error) or type(error).__name__)
        raise FileError(f"{name} must hold {', '.join(COLUMNS)}: {reason}", REMEDY) from None
    kinds = (label.dtype.kind in "iu", confidence.dtype.kind in "fiu") if len(label) else ()
    shapes = {label.shape, confidence.shape, by.shape}
    if not (all(kinds) and len(shapes) == 1 and ((confidence >= 0) & (confidence <= 1)).all()):
        problem = f"{name} must hold a label and a confidence from 0 to 1 for each sample"
        raise FileError(problem, REMEDY)
    return label, confidence, by


def _of_strategy(
    path: Path, label: Array, confidence: Array, by: Array, name: str, strategy: Strategy,
    remedy: str,
) -> AnswerColumns:  # fmt: skip
    """Answers with the models' places in the strategy."""
    models, file = strategy.models, shortened(path)
    named, which = np.unique(by, return_inverse=True)
    if unknown := [one for one in named if one not in models]:
        problem = f"{file}: {shortened(unknown[0], 40)} answered, which is no model of {name}"
        raise DataError(f"{problem} ({', '.join(models)})", remedy)
    answered_by = np.array([models.index(one) for one in named], int)[which]
    least = _least_confidence(strategy)
    # As it was when it was compared: readers of text may miss the last bit.
    below = np.flatnonzero(np.round(confidence, DECIMALS) < least[answered_by])
    if below.size:
        first, place = below[0], answered_by[below[0]]
        found = f"{models[place]} answered at {confidence[first]:.{DECIMALS}f}"
        problem = f"{found}, below its threshold {least[place]:g} in {name}"
        raise DataError(f"{file}, sample {first + 1:,}: {problem}", remedy)
    return AnswerColumns(label, confidence, answered_by)


def _least_confidence(strategy: Strategy) -> Array:
    """The least confidence that each model answers at, (n_models,): its threshold, or else 0."""
    least = np.zeros(len(strategy.models))
    if strategy.kind == "cascade":
        least[:-1] = strategy.thresholds[:-1]  # the last model answers whatever reaches it
    elif strategy.kind == "probe_cascade":
        least[:-1] = strategy.thresholds
    return least


def _arrays(path: Path) -> Mapping[str, Array]:
    with np.load(path, allow_pickle=False) as archive:
        models, by = archive["models"], archive["answered_by"]
        if len(by) and by.min() < 0:
            raise IndexError("answered_by must be 0 or more")
        others = {column: archive[column] for column in COLUMNS[:2]}
        return others | {"answered_by": models[by]}


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    # Names of models stay as written, numbers and "NA" too.
    kinds = {"label": "int64", "confidence": "float64", "answered_by": "str"}
    columns = list(COLUMNS)
    if path.suffix == ".csv" and not path.read_bytes().endswith((b"\n", b"\r")):
        raise FileError(f"{shortened(path)} is cut off: its last line has no end", REMEDY)
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        ".csv": lambda: pd.read_csv(path, usecols=columns, dtype=kinds, keep_default_na=False),
        ".json": lambda: pd.read_json(path, dtype=False),
        ".jsonl": lambda: pd.read_json(path, dtype=False, lines=True),
        ".parquet": lambda: pd.read_parquet(path, columns=columns),
    }
    if path.suffix == ".parquet":
        with extra("parquet"):
            import pyarrow.parquet  # noqa: F401
    return readers[path.suffix]()
