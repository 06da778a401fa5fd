"""A column of a table: numbers, or categories, as it is encoded."""

import datetime
import math
import numbers
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, shortened

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

#: Texts that stand for a missing number; among categories, classes and texts they are as any other.
MISSING = ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
           "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")  # fmt: skip
#: The column that names samples: answers repeat it, and models don't learn from it.
ID = "id"
#: Categories of a column that have a column of their own, at most; how often each must occur.
MAX_CATEGORIES, LEAST = 100, 2
#: Text that is a number in this share of its rows, of more numbers than these, is meant as numbers.
MOSTLY, MANY = 0.9, 20
#: Sums and squares of larger numbers may not be numbers of 32 bits any more.
LARGEST = 1e30
DATE = re.compile(r"(\d{4}-\d\d?-\d\d?|\d\d?[./-]\d\d?[./-]\d{2,4})([T ].*)?")
DATE_ADVICE = "Turn dates into numbers, such as days since a day, or leave the column out."


@dataclass(frozen=True)
class Column:
    """A column of a table: a number, or a category, one-hot.

    ``categories``: those that have a column; None for numbers. ``missing``: whether another column
    is 1 where the number is missing.
    """

    name: str
    categories: tuple[str, ...] | None = None
    missing: bool = False

    @property
    def n_columns(self) -> int:
        """Columns that it is encoded as."""
        return 1 + self.missing if self.categories is None else len(self.categories)

    def encode(self, values: "pd.Series[Any]", where: str = "") -> Array:
        """Float32 (n_samples, n_columns); a missing number is NaN, another category all zeros."""
        if self.categories is None:
            x = _numbers(values, self.name, where)
            columns = [x, np.isnan(x)] if self.missing else [x]
            return np.column_stack(columns).astype(np.float32)
        check_cells(values, self.name, where)
        places = {category: place for place, category in enumerate(self.categories)}
        found = np.array([-1 if text is None else places.get(text, -1) for text in texts(values)])
        return (found[:, None] == np.arange(len(places))).astype(np.float32)


def fit_column(values: "pd.Series[Any]", name: str, where: str) -> Column | None:
    """How a column is encoded; None if it tells nothing."""
    if _is_numeric(values, name, where):
        missing = np.isnan(_numbers(values, name, where))
        return None if missing.all() else Column(name, missing=bool(missing.any()))
    present = [text for text in texts(values) if text is not None]
    are_dates = [
        DATE.fullmatch(text.strip()) is not None for text in present if text not in MISSING
    ]
    if are_dates and np.mean(are_dates) >= MOSTLY:
        place = int(np.argmin(lacks_number(values)))
        raise cell_error(where, values, place, name, "a number or a category", DATE_ADVICE)
    categories = frequent(Counter(present))[:MAX_CATEGORIES]
    return Column(name, tuple(categories)) if categories else None


def _is_numeric(values: "pd.Series[Any]", name: str, where: str) -> bool:
    """Whether a column holds numbers, rather than categories; refuses what is neither."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return False
    if pd.api.types.is_numeric_dtype(values):
        return True
    check_cells(values, name, where)
    objects = values.to_numpy(object)
    present = objects[~lacks_number(objects)]
    if not any(isinstance(value, str) for value in present):
        return True
    found = pd.to_numeric(pd.Series(present, dtype=object), errors="coerce")
    return bool(found.notna().mean() >= MOSTLY and found.nunique() > MANY)


def check_cells(values: "pd.Series[Any]", name: str, where: str, dates: bool = False) -> None:
    """Refuse what is neither a number nor a text, as a list is; and a date, unless there may be."""
    objects = values.to_numpy(object)
    known: Any = str | bool | np.bool_ | numbers.Number
    known = known | datetime.date | np.datetime64 if dates else known
    for place in np.flatnonzero(~is_missing(objects)).tolist():
        if not isinstance(objects[place], known):
            is_date = isinstance(objects[place], datetime.date | np.datetime64)
            must = "a number or a text"
            raise cell_error(where, values, place, name, must, DATE_ADVICE if is_date else "")


def _numbers(values: "pd.Series[Any]", name: str, where: str) -> Array:
    """Numbers of a column, (n_samples,) float64; NaN where one is missing."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and values.dtype.kind != "c":
        x = values.to_numpy(float, na_value=np.nan)
        wrong = np.zeros(len(x), bool)
    else:
        objects = values.to_numpy(object)
        is_real = (numbers.Real, np.bool_, Decimal)
        kept = [
            v if isinstance(v, str) else _to_float(v) if isinstance(v, is_real) else None
            for v in objects
        ]
        x = pd.to_numeric(pd.Series(kept, dtype=object), errors="coerce").to_numpy(float)
        wrong = np.isnan(x) & ~lacks_number(objects)
    if wrong.any():
        remedy = "Where a number is missing, leave the cell empty."
        raise cell_error(where, values, int(wrong.argmax()), name, "a number", remedy)
    if (large := np.abs(x) > LARGEST).any():
        must = f"a finite number, from -{LARGEST:g} to {LARGEST:g}"
        raise cell_error(where, values, int(large.argmax()), name, must)
    return x


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def texts(values: "pd.Series[Any]") -> list[str | None]:
    """Categories of a column as text; None where one is missing, or blank. 3.0 is 3."""
    objects = values.to_numpy(object)
    return [
        None if missing else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v, missing in zip(objects, is_missing(objects) | is_blank(objects), strict=True)
    ]


def is_missing(objects: Any) -> Array:
    """Which of some values are None, NaN, NaT or NA."""
    import pandas as pd

    return np.array([bool(pd.api.types.is_scalar(v) and pd.isna(v)) for v in objects], bool)


def is_blank(objects: Any) -> Array:
    """Which of some values are texts of blanks alone, or of nothing."""
    return np.array([isinstance(value, str) and not value.strip() for value in objects], bool)


def lacks_number(objects: Any) -> Array:
    """Which of some values are missing where numbers are meant: also those of `MISSING`."""
    marks = [isinstance(value, str) and value.strip() in MISSING for value in objects]
    return is_missing(objects) | np.array(marks, bool)


def frequent(counts: Mapping[str, int]) -> list[str]:
    """What occurs twice at least, the most frequent first; of equals, by the alphabet."""
    repeated = [text for text, count in counts.items() if count >= LEAST]
    return sorted(repeated, key=lambda text: (-counts[text], text))


def cell_error(
    where: str, values: "pd.Series[Any]", place: int, name: str, must: str, remedy: str = ""
) -> DataError:
    """An error that names row and column, and what was found."""
    found = values.iloc[place]
    found = found.item() if isinstance(found, np.generic) else found
    found = "nothing" if is_missing([found])[0] else shortened(repr(found), 40)
    row = f"{values.index.name or 'row'} {values.index[place]}, column {shortened(name, 40)}"
    prefix = f"{where}: " if where else ""
    return DataError(f"{prefix}{row}: must be {must}; got {found}", remedy)
