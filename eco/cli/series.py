"""Values over time from a CSV file: the carbon of a grid, or a load."""

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from eco.errors import DataError, FileError, shortened
from eco.evaluation.budget import Series

#: No load of an hour, and no carbon of a grid, is more.
LARGEST = 1e15


def read_series(path: Path, column: str) -> Series:
    """A `Series` of a CSV file with the columns ``time`` and `column`.

    Times are ISO 8601, UTC where they name no zone, and rise by equal steps; values are finite
    numbers from 0 on. Raises `FileError` if the file can't be read, `DataError` for anything else,
    which names the line.
    """
    name, times, values = shortened(path), [], []
    for line, time, value in _rows(path, name, column):
        times.append(_time(time, f"{name}, line {line}"))
        values.append(_value(value, f"{name}, line {line}", column))
        step = times[1] - times[0] if len(times) > 1 else 0.0
        if len(times) > 1 and (step <= 0 or times[-1] - times[-2] != step):
            rule = f"by {step:g} s, as the first two do" if step > 0 else "from line to line"
            problem = f"{name}, line {line}: times must rise {rule}; got {shortened(time)}"
            raise DataError(problem, "Sort the lines, and fill what is missing.")
    if len(times) < 2:
        raise DataError(f"{name} must hold two times at least; got {len(times)}")
    return Series(times[0], times[1] - times[0], np.array(values))


def _rows(path: Path, name: str, column: str) -> Iterator[tuple[int, str, str]]:
    """Number of each line, its time and its value."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            head = rows.fieldnames or []
            if not {"time", column} <= set(head):
                got = shortened(", ".join(head)) or "nothing"
                raise DataError(f"{name} must begin with the columns time and {column}; got {got}")
            for one in ("time", column):
                if head.count(one) > 1:
                    raise DataError(
                        f"{name} must have the column {one} once; got {head.count(one)}"
                    )
            for row in rows:
                if longer := row.get(None):
                    raise DataError(
                        f"{name}, line {rows.line_num} must have as many cells as the first line, "
                        f"{len(head)}; got {len(head) + len(longer)}",
                        "Write numbers with a point: 1234.5.",
                    )
                yield rows.line_num, row["time"] or "", row[column] or ""
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{name} can't be read as CSV: {reason}") from None


def _time(text: str, place: str) -> float:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        example = "2026-01-31T13:00:00Z"
        raise DataError(f"{place}: time must be like {example}; got {shortened(text)!r}") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _value(text: str, place: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LARGEST:
        must = f"a number from 0 to {LARGEST:g}"
        raise DataError(f"{place}: {column} must be {must}; got {shortened(text)!r}")
    return value
