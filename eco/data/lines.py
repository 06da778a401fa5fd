"""Images as lines of JSON, each a list of rows of pixels, read as they come."""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data.streams import Batch, Pipe, Samples, open_samples
from eco.errors import DataError, shortened

Array = NDArray[Any]

NAME = "standard input"
#: How an array begins, and what is compressed.
ARRAYS, COMPRESSED = (b"\x93NUMPY", b"\0\0"), (b"PK", b"\x1f\x8b")
#: Bytes of a line at most, and of one reading.
MAX_LINE, CHUNK = 2**24, 2**16


@contextmanager
def open_pipe(stream: BinaryIO, labels: Path | None = None) -> Iterator[Samples]:
    """Open images that come through a pipe: `.npy`, IDX or JSON lines; the content decides.

    A line is an image as a list of rows of whole numbers from 0 to 255, or an object that holds it
    as ``x``, and perhaps an ``id``, which other entries may stand beside. What lines there are is a
    batch: none waits for the next. `labels` is as for `eco.data.streams.open_samples`, and goes
    with an array only. Raises `DataError`, which names the line; batches before it are given first.
    """
    pipe = Pipe(stream, NAME)
    if not pipe.start:
        raise DataError(
            f"{NAME} is empty", "Pipe images into it: .npy, or JSON lines. See eco predict --help"
        )
    if pipe.start.startswith(COMPRESSED):
        raise DataError(
            f"{NAME} must be .npy, IDX or JSON lines, but it is compressed",
            "Pipe it through gunzip, or save an .npz to a file.",
        )
    if pipe.start.startswith(ARRAYS):
        with open_samples(pipe, labels) as samples:
            yield samples
    elif labels is not None:
        problem = f"--labels goes with an array, but {NAME} holds lines"
        raise DataError(problem, "Pipe .npy, or leave out --labels.")
    else:
        yield _from_lines(pipe)


class _Image(NamedTuple):
    X: Array
    id: str | int | None

    @property
    def form(self) -> tuple[tuple[int, ...], bool]:
        """What is alike in all lines: the shape, and whether there is an id."""
        return self.X.shape, self.id is not None


def _from_lines(pipe: Pipe) -> Samples:
    groups = _groups(pipe)
    first = next(groups, None)
    if first is None:
        raise DataError(f"{pipe.name} has no line with an image")
    shape, identified = first[0].form

    def batches(size: int, _: int) -> Iterator[Batch]:
        for group in itertools.chain([first], groups):
            for start in range(0, len(group), size):
                images = group[start : start + size]
                ids = np.array([image.id for image in images], object) if identified else None
                yield Batch(np.stack([image.X for image in images]), None, ids)

    return Samples(None, shape, False, batches, identified)


def _groups(pipe: Pipe) -> Iterator[list[_Image]]:
    """The images that came together, also those before a line that is none."""
    numbers, form = itertools.count(1), None
    for lines in _lines(pipe):
        group: list[_Image] = []
        try:
            for line, number in zip(lines, numbers, strict=False):
                if line.strip():
                    where = f"{pipe.name}, line {number}"
                    image = _parse(line, where)
                    form = form or image.form
                    if image.form != form:
                        raise DataError(
                            f"{where} must be like the lines before it, {_describe(form)}; "
                            f"got {_describe(image.form)}"
                        )
                    group.append(image)
        except DataError:
            if group:
                yield group
            raise
        if group:
            yield group


def _describe(form: tuple[tuple[int, ...], bool]) -> str:
    shape, identified = form
    return f"{' x '.join(map(str, shape))} pixels {'with' if identified else 'without'} an id"


def _lines(pipe: Pipe) -> Iterator[list[bytes]]:
    """The lines that came with each reading."""
    rest = b""
    while len(rest) <= MAX_LINE and (chunk := pipe.read_some(CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        yield lines
    yield [rest]


def _parse(line: bytes, where: str) -> _Image:
    if len(line) > MAX_LINE:
        raise DataError(f"{where} is longer than {MAX_LINE:,} bytes: no image is that large")
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # an encoding, a number, or brackets
        raise DataError(f"{where} is not JSON: {shortened(error)}") from None
    entries = value if isinstance(value, dict) else {"x": value}
    id_ = entries.get("id")
    is_id = isinstance(id_, str | int | None) and not isinstance(id_, bool)
    if not is_id or re.search("[\ud800-\udfff]", str(id_)):
        raise DataError(f"{where}: id must be a text or a whole number; got {shortened(id_)}")
    try:
        X = np.array(entries["x"])
        # NumPy takes true for 1.
        is_whole = X.ndim == 2 and set(map(type, itertools.chain(*entries["x"]))) == {int}
        if is_whole and X.min() >= 0 and X.max() <= 255:
            return _Image(X.astype(np.uint8), id_)
    except (KeyError, ValueError):  # no x, or rows of unequal length
        pass
    raise DataError(
        f"{where} must be an image, or hold one as x: a list of rows of equal length, of whole "
        f"numbers from 0 to 255; got {shortened(line.decode(errors='replace'))}"
    )
