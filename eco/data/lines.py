"""Samples as lines of JSON, read as they come: images, rows of a table, or texts."""

import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data.coded import Coding
from eco.data.encoding import TableEncoding
from eco.data.streams import Batch, Pipe, Samples, open_samples
from eco.errors import DataError, shortened

Array = NDArray[Any]

NAME = "standard input"
#: How an array begins, and what is compressed.
ARRAYS, COMPRESSED = (b"\x93NUMPY", b"\0\0"), (b"PK", b"\x1f\x8b")
#: Bytes of a line at most, and of one reading.
MAX_LINE, CHUNK = 2**24, 2**16


@contextmanager
def open_pipe(
    stream: BinaryIO, labels: Path | None = None, coding: Coding | None = None
) -> Iterator[Samples]:
    """Open samples that come through a pipe: `.npy`, IDX or JSON lines; the content decides.

    A line is an image as a list of rows of whole numbers from 0 to 255, or of rows of such three in
    colour, or an object that holds it as ``x``. With a coding it is an object that holds the
    columns of a table, or a text or an object that holds it. An object may have an ``id``, and
    other entries. What lines there are is a batch: none waits for the next. `labels` is as for
    `eco.data.streams.open_samples`, and goes with an array only. Raises `DataError`, which names
    the line; batches before it are given first.
    """
    pipe = Pipe(stream, NAME)
    if not pipe.start:
        raise DataError(
            f"{NAME} is empty", "Pipe samples into it: .npy, or JSON lines. See eco predict --help"
        )
    if pipe.start.startswith(COMPRESSED):
        raise DataError(
            f"{NAME} must be .npy, IDX or JSON lines, but it is compressed",
            "Pipe it through gunzip, or save an .npz to a file.",
        )
    if pipe.start.startswith(ARRAYS):
        with open_samples(pipe, labels, coding) as samples:
            yield samples
    elif labels is not None:
        problem = f"--labels goes with an array, but {NAME} holds lines"
        raise DataError(problem, "Pipe .npy, or leave out --labels.")
    else:
        yield _from_lines(pipe, coding)


def read_lines(content: bytes, name: str, coding: Coding | None = None) -> Batch:
    """The samples of lines in memory, as `open_pipe` reads them; `name` is for messages."""
    samples = _from_lines(Pipe(io.BytesIO(content), name), coding)
    batches = [*samples.batches(MAX_LINE, 0)]
    ids = [batch.ids for batch in batches if batch.ids is not None]
    X = np.concatenate([batch.X for batch in batches])
    return Batch(X, None, np.concatenate(ids) if ids else None)


class _Line(NamedTuple):
    """A sample, and ``form``: what is alike in all lines."""

    number: int
    sample: Any
    form: str
    id: str | int | None


class _Images:
    """Lines that hold images."""

    key = "x"

    def has_id(self, entries: dict[str, Any]) -> bool:
        return "id" in entries

    def read(self, entries: dict[str, Any], where: str) -> tuple[Array, str]:
        """The image, and what is alike in all lines."""
        try:
            X = np.array(entries["x"])
            # NumPy takes true for 1.
            pixels = itertools.chain(*entries["x"])
            pixels = itertools.chain(*pixels) if X.ndim == 3 else pixels
            is_whole = X.ndim > 1 and X.shape[2:] in ((), (3,)) and set(map(type, pixels)) == {int}
            if is_whole and X.min() >= 0 and X.max() <= 255:
                return X.astype(np.uint8), f"{' x '.join(map(str, X.shape))} pixels "
        except (KeyError, TypeError, ValueError):  # no x, no lists, or rows of unequal length
            pass
        raise DataError(
            f"{where} must be an image, or hold one as x: a list of rows of equal length, of whole "
            f"numbers from 0 to 255; got {shortened(json.dumps(entries.get('x', entries)))}"
        )

    def shape(self, first: _Line) -> tuple[int, ...]:
        shape: tuple[int, ...] = first.sample.shape
        return shape

    def encode(self, lines: Sequence[_Line], _: str) -> Array:
        return np.stack([line.sample for line in lines])


class _Rows:
    """Lines that hold rows of a table, or texts."""

    def __init__(self, coding: Coding) -> None:
        self._coding, self.key = coding, ""
        if isinstance(coding, TableEncoding):
            self._columns = [column.name for column in coding.columns]
        else:
            self._columns, self.key = [coding.column], coding.column

    def has_id(self, entries: dict[str, Any]) -> bool:
        return "id" in entries and "id" not in self._columns

    def read(self, entries: dict[str, Any], where: str) -> tuple[dict[str, Any], str]:
        """The entries that are read, and what is alike in all lines."""
        for column in self._columns:
            if column not in entries or (self.key and not isinstance(entries[column], str)):
                what = "a text, or an object that holds one as" if self.key else "an object with"
                raise DataError(
                    f"{where} must be {what} {shortened(column, 40)}; got "
                    f"{shortened(json.dumps(entries))}",
                    "" if self.key else "Where a value is missing, write null.",
                )
        return {column: entries[column] for column in self._columns}, ""

    def shape(self, _: _Line) -> tuple[int, ...]:
        return self._coding.shape

    def encode(self, lines: Sequence[_Line], name: str) -> Array:
        import pandas as pd

        numbers = pd.Index([line.number for line in lines], name="line")
        rows = [line.sample for line in lines]
        return self._coding.encode(pd.DataFrame(rows, numbers, self._columns), name)


def _from_lines(pipe: Pipe, coding: Coding | None) -> Samples:
    held = _Images() if coding is None else _Rows(coding)
    groups = _groups(pipe, held)
    first = next(groups, None)
    if first is None:
        raise DataError(f"{pipe.name} has no line with a sample")
    identified = first[0].id is not None

    def batch(lines: Sequence[_Line]) -> Iterator[Batch]:
        try:
            X = held.encode(lines, pipe.name)
        except DataError:
            if len(lines) == 1:
                raise
            for line in lines:  # those before the one that can't be encoded
                yield from batch([line])
            return
        ids = np.array([line.id for line in lines], object) if identified else None
        yield Batch(X, None, ids)

    def batches(size: int, _: int) -> Iterator[Batch]:
        for group in itertools.chain([first], groups):
            for start in range(0, len(group), size):
                yield from batch(group[start : start + size])

    return Samples(None, held.shape(first[0]), False, batches, identified)


def _groups(pipe: Pipe, held: _Images | _Rows) -> Iterator[list[_Line]]:
    """The samples that came together, also those before a line that is none."""
    numbers, form = itertools.count(1), None
    for lines in _lines(pipe):
        group: list[_Line] = []
        try:
            for line, number in zip(lines, numbers, strict=False):
                if line.strip():
                    where = f"{pipe.name}, line {number}"
                    sample = _parse(line, number, where, held)
                    form = form or sample.form
                    if sample.form != form:
                        raise DataError(
                            f"{where} must be like the lines before it, {form}; got {sample.form}"
                        )
                    group.append(sample)
        except DataError:
            if group:
                yield group
            raise
        if group:
            yield group


def _lines(pipe: Pipe) -> Iterator[list[bytes]]:
    """The lines that came with each reading."""
    rest = b""
    while len(rest) <= MAX_LINE and (chunk := pipe.read_some(CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
    yield [rest]


def _parse(line: bytes, number: int, where: str, held: _Images | _Rows) -> _Line:
    if len(line) > MAX_LINE:
        raise DataError(f"{where} is longer than {MAX_LINE:,} bytes: no sample is that large")
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # an encoding, a number, or brackets
        raise DataError(f"{where} is not JSON: {shortened(error)}") from None
    entries = value if isinstance(value, dict) else {held.key: value}
    id_ = entries["id"] if held.has_id(entries) else None
    is_id = isinstance(id_, str | int | None) and not isinstance(id_, bool)
    if not is_id or re.search("[\ud800-\udfff]", str(id_)):
        raise DataError(f"{where}: id must be a text or a whole number; got {shortened(id_)}")
    sample, form = held.read(entries, where)
    return _Line(number, sample, f"{form}{'with' if id_ is not None else 'without'} an id", id_)
