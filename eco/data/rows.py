"""Tables and texts in files, CSV or Parquet, read and encoded a batch at a time."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.data import streams
from eco.data.coded import Coding
from eco.data.columns import ID, MISSING, cell_error, texts
from eco.data.encoding import TableEncoding
from eco.data.fetch import check_regular
from eco.data.streams import Batch, Samples
from eco.errors import DataError, extra, shortened
from eco.predictions import tables

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
Frames = Iterator["pd.DataFrame"]


@dataclass(frozen=True)
class _Columns:
    """The columns of a file that are read.

    ``inputs``: those of the models; ``categories``: those of them whose cells are texts or missing;
    ``texts``: those whose cells are texts.
    """

    inputs: Sequence[str]
    categories: Sequence[str]
    texts: Sequence[str]

    @classmethod
    def of(cls, coding: Coding, target: str) -> "_Columns":
        if not isinstance(coding, TableEncoding):
            return cls([coding.column], [], [coding.column, target, ID])
        inputs = [column.name for column in coding.columns]
        categories = [c.name for c in coding.columns if c.categories is not None]
        return cls(inputs, categories, [name for name in (target, ID) if name not in inputs])

    def there(self, columns: Sequence[str], name: str) -> list[str]:
        """Those that a file has; a `DataError` if it lacks an input, or has one of them twice."""
        for column in self.inputs:
            if column not in columns:
                raise DataError(
                    f"{name} must have the column {shortened(column, 40)}; it has "
                    f"{shortened(', '.join(map(str, columns)))}",
                    "Name columns as in the data that were trained on.",
                )
        wanted = list(dict.fromkeys([*self.inputs, *self.texts]))
        if twice := [column for column in wanted if list(columns).count(column) > 1]:
            raise DataError(f"{name} must have the column {shortened(twice[0], 40)} once; got two")
        return [column for column in wanted if column in columns]


@contextmanager
def open_rows(
    path: Path, coding: Coding, target: str, class_names: Sequence[str], labels: Path | None = None
) -> Iterator[Samples]:
    """Open a table, of which a few rows at a time are read and encoded.

    Parameters
    ----------
    path : Path
        ``.csv``, perhaps compressed by gzip, or ``.parquet``, with the columns that were trained
        on. A column `ID` that is none of them holds ids; others are ignored.
    coding : TableEncoding or TextEncoding
    target : str
        The column with the classes, if there is one.
    class_names : sequence of str
        Names of the classes, in label order.
    labels : Path, optional
        A file of labels, as for `eco.data.streams.open_samples`, which count instead.

    Raises
    ------
    DataError
        If the file is missing or damaged, or lacks a column; ``batches`` does for what shows while
        reading: a cell that can't be encoded, or a class that isn't known.
    """
    name, wanted = shortened(path), _Columns.of(coding, target)
    with tables.read_errors(path, name):
        check_regular(path)
        is_parquet = path.name.lower().endswith(".parquet")
        columns, n, frames = (_parquet if is_parquet else _csv)(path, name, wanted)
    y = None if labels is None else streams.read_labels(labels)
    labelled = y is not None or (target in columns and target not in wanted.inputs)
    identified = ID in columns and ID not in wanted.inputs
    most = min(streams.MAX_BATCH, 1 + streams.MAX_BATCH_PIXELS // max(len(columns), *coding.shape))

    def batches(size: int, n_classes: int) -> Iterator[Batch]:
        start = 0
        for frame in frames(min(size, most)):
            X, end = coding.encode(frame, name), start + len(frame)
            ids = frame[ID].to_numpy(object) if identified else None
            of_rows = None
            if y is not None:
                _check_number(str(labels), len(y), end, len(y) < end)
                of_rows = streams.check_labels(str(labels), y[start:end], start, n_classes)
            elif labelled:
                of_rows = _labels(frame[target], class_names, name)
            yield Batch(X, of_rows, ids)
            start = end
        if not start:
            raise DataError(f"{name} must hold a row for each sample; it has none")
        if y is not None:
            _check_number(str(labels), len(y), start, len(y) != start)

    yield Samples(n, coding.shape, labelled, batches, identified)


def _check_number(name: str, n_labels: int, n: int, differs: bool) -> None:
    if differs:
        raise DataError(
            f"{shortened(name)} must hold one label for each of the {n:,} rows and no more; got "
            f"{n_labels:,}"
        )


def _labels(values: "pd.Series[Any]", class_names: Sequence[str], name: str) -> Array:
    """Labels of classes by their names, (n,) int64."""
    places = {each: place for place, each in enumerate(class_names)}
    y = np.array([places.get(text or "", -1) for text in texts(values)], np.int64)
    for row in np.flatnonzero(y < 0)[:1]:
        must = f"one of the {len(class_names)} classes"
        remedy = "Leave the column out where classes aren't known."
        raise cell_error(name, values, int(row), str(values.name), must, remedy)
    return y


def _csv(
    path: Path, name: str, wanted: _Columns
) -> tuple[list[str], int | None, Callable[[int], Frames]]:
    """Columns that are read, number of rows if known, and from a size the rows, so many at a time.

    Categories are read as texts, as those of a whole file are: a part may hold numbers alone.
    """
    import pandas as pd

    header = tables.read_header(path, name)
    columns = wanted.there(header, name)
    places = {header.index(column): column for column in columns}

    def frames(size: int) -> Frames:
        are_text = {*wanted.categories, *wanted.texts}
        types = {place: str for place, column in places.items() if column in are_text}
        missing = {
            place: [""] if column in wanted.categories else MISSING
            for place, column in places.items()
            if column not in wanted.texts
        }
        with tables.read_errors(path, name):
            reader = pd.read_csv(
                path, header=0, names=range(len(header)), dtype=types, keep_default_na=False,
                na_values=missing, chunksize=size, skip_blank_lines=len(header) > 1,
                encoding=tables.ENCODING, index_col=False,
            )  # fmt: skip
        with reader:
            while True:
                with tables.read_errors(path, name), warnings.catch_warnings():
                    warnings.simplefilter("error", pd.errors.ParserWarning)
                    frame = next(reader, None)
                if frame is None:
                    return
                yield frame[list(places)].rename(columns=places)

    return columns, None, frames


def _parquet(
    path: Path, name: str, wanted: _Columns
) -> tuple[list[str], int | None, Callable[[int], Frames]]:
    """The same of a Parquet file."""
    with extra("parquet"):
        import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    columns = wanted.there(file.schema_arrow.names, name)

    def frames(size: int) -> Frames:
        parts, start = file.iter_batches(size, columns=columns), 0
        while True:
            with tables.read_errors(path, name):
                part = next(parts, None)
                if part is None:
                    return
                frame = part.to_pandas(ignore_metadata=True)
            frame.index += start
            start += len(frame)
            yield frame

    return columns, file.metadata.num_rows, frames
