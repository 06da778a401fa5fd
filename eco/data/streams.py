"""Arrays in files, images or encoded samples, read a batch at a time.

Whatever the file (`.npy`, `.npz`, IDX, compressed or not), the numbers are the rest of a stream
after a header, so a file larger than memory takes the memory of a few batches. Nothing is
memory-mapped or unpickled.
"""

import gzip
import io
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.data import coded, idx
from eco.data.fetch import check_regular
from eco.data.splits import shape_hint
from eco.errors import DataError, EcoError, shortened

Array = NDArray[Any]

#: Arrays of a `.npz` that hold samples and labels; the first pair that is present counts.
NAMES = (("X", "y"), ("X_test", "y_test"))
#: A header that claims more is damaged, or meant to exhaust the memory: numbers of a sample, size
#: of an axis, axes, bytes of the header itself.
MAX_PIXELS = 2**26
MAX_SIZE = 2**48
MAX_AXES = 32
MAX_HEADER = 12_000
#: Samples and numbers of a batch at most, whatever its size: more are no sooner answered.
MAX_BATCH = 2**16
MAX_BATCH_PIXELS = 2**25


class Batch(NamedTuple):
    """Samples, as splits hold them; labels, (size,) int64; ids, (size,) object."""

    X: Array
    y: Array | None = None
    ids: Array | None = None


@dataclass(frozen=True)
class Samples:
    """Samples that are read on demand, once.

    ``n``: how many, None where that shows at the end; ``shape``: of one sample; ``labelled``,
    ``identified``: whether labels and ids come with them; ``batches``: from batch size and number
    of classes to batches.
    """

    n: int | None
    shape: tuple[int, ...]
    labelled: bool
    batches: Callable[[int, int], Iterator[Batch]]
    identified: bool = False


class Pipe:
    """A stream that can't go back, but for its first bytes.

    ``name``: what messages call it; ``start``: its first six bytes, as many as tell what it holds,
    and as the shortest line with an image has.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.start = stream.read(6)
        self._kept = io.BytesIO(self.start)
        self._stream = stream

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        kept = self._kept.read(size)
        return kept + self._stream.read(size - len(kept))

    def read_some(self, size: int) -> bytes:
        """What is there, so many bytes at most; waits for one, and is empty only at the end."""
        return self._kept.read(size) or self._stream.read1(size)  # type: ignore[attr-defined]

    def seek(self, position: int) -> None:
        """Go back to a position within the longest header of an array."""
        if self._kept.getbuffer().nbytes == len(self.start):
            self._kept = io.BytesIO(self.start + self._stream.read(MAX_HEADER))
        self._kept.seek(position)


def from_arrays(X: Array, y: Array) -> Samples:
    """Samples in memory: X, samples first, and y, (n_samples,)."""

    def batches(size: int, _: int) -> Iterator[Batch]:
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            yield Batch(X[part], y[part].astype(np.int64))

    return Samples(len(X), X.shape[1:], True, batches)


@contextmanager
def open_samples(
    source: Path | Pipe, labels: Path | None = None, coding: coded.Coding | None = None
) -> Iterator[Samples]:
    """Open a file of images, or of what a coding gives, and check it as far as that goes at once.

    `source` is `.npy`, `.npz` (arrays X and perhaps y, or X_test and y_test) or IDX; `.npy` and IDX
    may be compressed by gzip. The content decides, not the name. A pipe holds `.npy` or IDX.
    `labels` is a file of the same kinds, with one whole number for each sample. Raises `DataError`
    if a file is missing, damaged, or holds anything but such samples and labels; `batches` does for
    what shows while reading. Batches are smaller than asked for where one would take much memory.
    """
    with ExitStack() as stack:
        if isinstance(source, Pipe):
            with read_errors(source.name):
                X, y = _stored_array(source, source.name, None), None
        else:
            X, y = _open_arrays(stack, source)
        if coding is None:
            _check_images(X)
        else:
            coded.check_form(X.name, X.dtype, X.shape, coding)
        if labels is not None:
            y, _ = _open_arrays(stack, labels)
        if y is not None:
            _check_labels(y, X)
        _check_size(X)
        # Entered last and so left first: it may be reading the files.
        reader = stack.enter_context(ThreadPoolExecutor(1))

        def batches(size: int, n_classes: int) -> Iterator[Batch]:
            most = max(1, MAX_BATCH_PIXELS // math.prod(X.shape[1:]))
            read = _batches(X, y, min(size, MAX_BATCH, most), n_classes, coding)
            # Nobody can end a thread that waits for a pipe.
            return read if isinstance(source, Pipe) else read_ahead(read, reader)

        yield Samples(X.shape[0], X.shape[1:], y is not None, batches)


def read_labels(path: Path) -> Array:
    """Labels in a file of their own, `.npy` or IDX, (n,) int64; raises as `open_samples` does."""
    with ExitStack() as stack:
        y, _ = _open_arrays(stack, path)
        if y.dtype.kind not in "iu" or len(y.shape) != 1:
            raise DataError(
                f"{y.name} must hold one whole number for each sample; got {shortened(y.dtype)} "
                f"of shape {shortened(y.shape)}"
            )
        _check_size(y)
        parts = [rows.astype(np.int64) for rows in y.rows(MAX_BATCH)]
        return np.concatenate([np.empty(0, np.int64), *parts])


def read_ahead(batches: Iterator[Batch], reader: Executor) -> Iterator[Batch]:
    """The same batches, each read while the one before is processed: decompressing takes long."""
    following = reader.submit(next, batches, None)
    while (batch := following.result()) is not None:
        following = reader.submit(next, batches, None)
        yield batch


@dataclass(frozen=True)
class _StoredArray:
    """An array in C order that is the rest of a stream."""

    name: str
    stream: Any  # binary
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    n_bytes: int | None  # left in the stream; None if it is compressed

    def rows(self, size: int) -> Iterator[Array]:
        """The array, a few rows at a time."""
        n, width = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        for start in range(0, n, size):
            count = min(size, n - start)
            with read_errors(self.name):
                content = self.stream.read(count * width)
            if len(content) < count * width:
                complete = start + len(content) // width
                raise DataError(f"{self.name} is cut off: it has {complete} of {n} samples")
            yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        with read_errors(self.name):  # a checksum, if there is one, is checked at the end
            if self.stream.read(1):
                raise DataError(f"{self.name} is damaged: it goes on after its {n} samples")


def _batches(
    X: _StoredArray, y: _StoredArray | None, size: int, n_classes: int, coding: coded.Coding | None
) -> Iterator[Batch]:
    start, labels = 0, None if y is None else y.rows(size)
    for samples in X.rows(size):
        if coding is not None:
            coded.check_values(X.name, samples, start, coding)
        if y is None or labels is None:
            yield Batch(samples)
        else:
            yield Batch(samples, check_labels(y.name, next(labels), start, n_classes))
        start += len(samples)
    if labels is not None:
        next(labels, None)  # what is checked at its end


def check_labels(name: str, y: Array, start: int, n_classes: int) -> Array:
    """Labels as int64; a `DataError` if one of them, of which the first has a number, is none."""
    for i in np.flatnonzero((y < 0) | (y >= n_classes)):
        raise DataError(
            f"{name}: labels must be from 0 to {n_classes - 1}; sample {start + i} has {y[i]}"
        )
    return y.astype(np.int64)


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn whatever reading damaged bytes raises into an error that names the file."""
    try:
        yield
    except EcoError:
        raise
    except FileNotFoundError:
        where = "" if Path(name).is_absolute() else f" in {shortened(Path.cwd())}"
        raise DataError(f"{name} does not exist{where}") from None
    except Exception as error:  # what NumPy, gzip and zipfile raise is not a closed list
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{name} can't be read: {shortened(str(reason).strip())}") from None


def _open_arrays(stack: ExitStack, path: Path) -> tuple[_StoredArray, _StoredArray | None]:
    """The array in a file, and the labels that came with it."""
    name = shortened(path)
    with read_errors(name):
        check_regular(path)
        stream = stack.enter_context(path.open("rb"))
        magic = _magic(stream)
        if magic.startswith(b"PK"):
            return _open_npz(stack, stack.enter_context(zipfile.ZipFile(stream)), name)
        if magic.startswith(b"\x1f\x8b"):
            return _stored_array(gzip.GzipFile(fileobj=stream), name, None), None
        return _stored_array(stream, name, os.fstat(stream.fileno()).st_size), None


def _open_npz(
    stack: ExitStack, archive: zipfile.ZipFile, name: str
) -> tuple[_StoredArray, _StoredArray | None]:
    """Images and labels of a `.npz`: separate streams, decompressed as they are read."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    pair = next((pair for pair in NAMES if pair[0] in members), None)
    if pair is None:
        content = shortened(", ".join(members) or "nothing")
        raise DataError(f"{name} must hold X, or X_test, and perhaps labels; it holds {content}")

    images, *labels = [
        _stored_array(stack.enter_context(archive.open(info)), f"{name}: {key}", info.file_size)
        for key in pair
        if (info := members.get(key))
    ]
    return images, labels[0] if labels else None


def _magic(stream: Any) -> bytes:
    start: bytes = stream.read(6)
    stream.seek(0)
    return start


def _stored_array(stream: Any, name: str, size: int | None) -> _StoredArray:
    magic = _magic(stream)
    if magic == b"\x93NUMPY":
        shape, dtype = _read_npy_header(stream, name)
    elif magic.startswith(b"\0\0"):
        shape, dtype = idx.read_header(stream, name)
    else:
        are_lines = magic.lstrip()[:1] in (b"[", b"{")
        remedy = "Pipe JSON lines: cat FILE | eco predict -" if are_lines else ""
        raise DataError(f"{name} is none of .npy, .npz and IDX, compressed by gzip or not", remedy)
    if len(shape) > MAX_AXES or not all(0 <= size < MAX_SIZE for size in shape):
        raise DataError(f"{name} is damaged: its header says shape {shortened(shape)}")
    return _StoredArray(name, stream, shape, dtype, None if size is None else size - stream.tell())


def _read_npy_header(stream: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    start = io.BytesIO(stream.read(MAX_HEADER))
    version = np.lib.format.read_magic(start)  # version 3.0 is for names of fields
    read = getattr(np.lib.format, "read_array_header_{}_{}".format(*version), None)
    if read is None:
        raise DataError(f"{name} must be .npy of version 1.0 or 2.0, got {version}")
    shape, fortran_order, dtype = read(start)
    stream.seek(start.tell())
    if fortran_order and len(shape) > 1:
        raise DataError(f"{name} must be in C order", "Save np.ascontiguousarray(X).")
    return shape, dtype


def _check_images(X: _StoredArray) -> None:
    problem = (
        f"{X.name} must hold uint8 images (n, height, width), or (n, height, width, 3) in colour, "
        "at least one; "
        f"got {shortened(X.dtype)} of shape {shortened(X.shape)}"
    )
    if 0 in X.shape:
        raise DataError(problem, "It is empty: check the program that saved it.")
    if len(X.shape) != 3 and not (len(X.shape) == 4 and X.shape[3] == 3):
        raise DataError(problem, shape_hint(X.shape))
    if math.prod(X.shape[1:]) > MAX_PIXELS:
        raise DataError(f"{problem}: no image is that large, so its header is damaged")
    if X.dtype == np.uint8:
        return
    if X.dtype.kind in "fc":
        _check_size(X)
        _check_finite(X, problem)
    first = "if these do, " if X.dtype.kind in "iu" else "scale them, and "
    raise DataError(problem, f"Pixels go from 0 to 255: {first}save X.astype('uint8').")


def _check_finite(X: _StoredArray, problem: str) -> None:
    start = 0
    for rows in X.rows(1 + 2**20 // math.prod(X.shape[1:])):
        for i in np.flatnonzero(~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)):
            raise DataError(f"{problem}, and sample {start + i} has NaN or infinite pixels")
        start += len(rows)


def _check_labels(y: _StoredArray, X: _StoredArray) -> None:
    if y.dtype.kind not in "iu" or y.shape != X.shape[:1]:
        raise DataError(
            f"{y.name} must hold one whole number for each of the {X.shape[0]} samples of "
            f"{X.name}; got {shortened(y.dtype)} of shape {shortened(y.shape)}"
        )
    _check_size(y)


def _check_size(array: _StoredArray) -> None:
    expected = math.prod(array.shape) * array.dtype.itemsize
    if array.n_bytes is not None and array.n_bytes != expected:
        raise DataError(
            f"{array.name} is damaged or cut off: {array.shape} of {array.dtype} takes "
            f"{expected:,} bytes, but it has {array.n_bytes:,}"
        )
