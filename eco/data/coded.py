"""Checks of tables and texts that are numbers already, as the splits of a study hold them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data.encoding import TableEncoding, TextEncoding
from eco.errors import DataError, shortened

Array = NDArray[Any]
Coding = TableEncoding | TextEncoding


def check_form(name: str, dtype: Any, shape: tuple[int, ...], coding: Coding) -> None:
    """Raise `DataError` unless an array is of the type and shape that an encoding gives."""
    is_table = isinstance(coding, TableEncoding)
    expected = "float32" if is_table else "int32"
    if dtype == np.dtype(expected) and shape[1:] == coding.shape and 0 not in shape:
        return
    of, what = ("a table", "columns") if is_table else ("texts", "words")
    raise DataError(
        f"{name} must hold {of} as encoded for this study, {expected} (n, {coding.shape[0]}), at "
        f"least one row; got {shortened(dtype)} of shape {shortened(shape)}",
        f"Answer the .csv or .parquet itself: data/encoding.json turns its {what} into numbers."
        if isinstance(coding, TableEncoding) or coding.words
        else "Save the ids of your tokenizer with .astype('int32'), cut and filled up with 0.",
    )


def check_values(name: str, X: Array, start: int, coding: Coding) -> None:
    """Raise `DataError` if rows, which begin with number `start`, hold what no encoding gives."""
    if isinstance(coding, TableEncoding):
        wrong, must = np.isinf(X), "finite, or NaN where missing"
    else:
        wrong, must = (X < 0) | (coding.n_ids <= X), f"ids of words from 0 to {coding.n_ids - 1}"
    for row, column in np.argwhere(wrong)[:1]:
        raise DataError(
            f"{name} must hold numbers that are {must}; sample {start + row} has {X[row, column]} "
            f"in column {column}"
        )
