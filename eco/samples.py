"""Files of samples, read a few at a time.

Whatever the file (`.npy`, `.npz`, IDX, compressed or not), the pixels are the rest of a stream
after a header, so a file larger than memory is read in the memory of a few batches. Nothing is
mapped into memory, nothing is unpickled.
"""

import gzip
import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError

Array = NDArray[Any]
Batch = tuple[Array, Array | None]

#: Arrays of a `.npz` that hold images and their labels, the first that is there.
NAMES = (("X", "y"), ("X_test", "y_test"))
#: A header that claims larger images than this is damaged, or meant to exhaust the memory.
MAX_PIXELS = 2**26
#: Element types of IDX files: <http://yann.lecun.com/exdb/mnist/>, "the IDX file format".
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
WANTED = "must hold uint8 images (n, height, width), at least one"


class Samples(NamedTuple):
    """Images that are read on demand, once.

    ``shape``: height and width; ``labelled``: whether labels come with them; ``batches``: from
    the size of a batch and the number of classes to pairs of X, (size, height, width) uint8, and
    y, (size,) int64 or None.
    """

    n: int
    shape: tuple[int, ...]
    labelled: bool
    batches: Callable[[int, int], Iterator[Batch]]


class _Column(NamedTuple):
    """An array in C order: what is left of a stream. ``held``: its bytes, where that is known."""

    name: str
    stream: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    held: int | None

    def rows(self, size: int) -> Iterator[Array]:
        """The array, a few rows at a time."""
        n, width = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        for start in range(0, n, size):
            count = min(size, n - start)
            with _read(self.name):
                content = self.stream.read(count * width)
            if len(content) < count * width:
                there = start + len(content) // width
                raise DataError(f"{self.name} is cut off: it has {there} of {n} samples")
            yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        with _read(self.name):  # whose checksum, if it has one, is checked at the end
            if self.stream.read(1):
                raise DataError(f"{self.name} is damaged: it goes on after its {n} samples")


@contextmanager
def opened(path: Path, labels: Path | None = None) -> Iterator[Samples]:
    """Open a file of images, and check all that can be known before reading them.

    Parameters
    ----------
    path : Path
        `.npy`, `.npz` (arrays X and perhaps y, or X_test and y_test), or IDX; the first and the
        last may be compressed by gzip. What it is, the file itself says, not its name.
    labels : Path, optional
        A file of the same kinds, with one whole number for each image.

    Raises
    ------
    DataError
        If a file is missing, damaged, or holds anything but uint8 images and labels. `batches`
        raises it as well, for what shows only while reading.
    """
    with ExitStack() as stack:
        X, y = _columns(stack, path)
        _check_images(X)
        if labels is not None:
            y = _columns(stack, labels)[0]
        if y is not None:
            _check_labels(y, X)
        _check_size(X)

        def batches(size: int, n_classes: int) -> Iterator[Batch]:
            if y is None:
                yield from ((rows, None) for rows in X.rows(size))
                return
            at = 0
            for rows, given in zip(X.rows(size), y.rows(size), strict=True):
                outside = np.flatnonzero((given < 0) | (given >= n_classes))
                if outside.size:
                    raise DataError(
                        f"{y.name}: labels must be from 0 to {n_classes - 1}; sample "
                        f"{at + outside[0]} has {given[outside[0]]}"
                    )
                at += len(given)
                yield rows, given.astype(np.int64)

        # Left before the files are: it may be reading them.
        reader = stack.enter_context(ThreadPoolExecutor(1))

        def ahead(size: int, n_classes: int) -> Iterator[Batch]:
            return _read_ahead(batches(size, n_classes), reader)

        yield Samples(X.shape[0], X.shape[1:], y is not None, ahead)


def _read_ahead(batches: Iterator[Batch], reader: Executor) -> Iterator[Batch]:
    """The same batches, each read while the one before is answered: decompressing takes long."""
    coming = reader.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = reader.submit(next, batches, None)
        yield batch


def of_arrays(X: Array, y: Array) -> Samples:
    """Samples that are in memory already.

    Parameters
    ----------
    X : array of shape (n_samples, height, width), uint8
    y : array of shape (n_samples,)
    """

    def batches(size: int, _: int) -> Iterator[Batch]:
        for start in range(0, len(X), size):
            yield X[start : start + size], y[start : start + size].astype(np.int64)

    return Samples(len(X), X.shape[1:], True, batches)


#: What NumPy, gzip and zipfile raise on damaged bytes.
READING = (OSError, EOFError, ValueError, TypeError, RuntimeError, tokenize.TokenError,
           zlib.error, lzma.LZMAError, zipfile.BadZipFile)  # fmt: skip


@contextmanager
def _read(name: str) -> Iterator[None]:
    """Turn whatever reading damaged bytes raises into an error that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{name} does not exist in {Path.cwd()}") from None
    except READING as error:
        raise DataError(f"{name} can't be read: {error or type(error).__name__}") from None


def _columns(stack: ExitStack, path: Path) -> tuple[_Column, _Column | None]:
    """The array in a file, and the labels that came with it."""
    name = str(path)
    with _read(name):
        stream: IO[bytes] = stack.enter_context(path.open("rb"))
        size: int | None = os.fstat(stream.fileno()).st_size
        if _magic(stream).startswith(b"PK"):
            return _members(stack, stack.enter_context(zipfile.ZipFile(stream)), name)
        if _magic(stream).startswith(b"\x1f\x8b"):
            stream, size = gzip.GzipFile(fileobj=stream), None  # type: ignore[assignment]
        read = _npy if _magic(stream).startswith(b"\x93NUMPY") else _idx
        return read(stream, name, size), None


def _magic(stream: IO[bytes]) -> bytes:
    start = stream.read(6)
    stream.seek(0)
    return start


def _members(
    stack: ExitStack, archive: zipfile.ZipFile, name: str
) -> tuple[_Column, _Column | None]:
    """The images of a `.npz`, and its labels: streams of its own that inflate as they are read."""
    there = archive.namelist()
    found = next((pair for pair in NAMES if f"{pair[0]}.npy" in there), None)
    if found is None:
        listed = ", ".join(member.removesuffix(".npy") for member in there) or "nothing"
        raise DataError(f"{name} must hold X, or X_test, and perhaps labels; it holds {listed}")

    def column(key: str) -> _Column:
        info = archive.getinfo(f"{key}.npy")
        return _npy(stack.enter_context(archive.open(info)), f"{name}: {key}", info.file_size)

    return column(found[0]), column(found[1]) if f"{found[1]}.npy" in there else None


def _npy(stream: IO[bytes], name: str, size: int | None) -> _Column:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{name} must be .npy of version 1.0 or 2.0, got {version}")
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = read[version[0]](stream)
    if fortran and len(shape) > 1:
        raise DataError(f"{name} must be in C order: save np.ascontiguousarray(X)")
    return _Column(name, stream, shape, dtype, None if size is None else size - stream.tell())


def _idx(stream: IO[bytes], name: str, size: int | None) -> _Column:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not start[3]:
        raise DataError(f"{name} is none of .npy, .npz and IDX, compressed by gzip or not")
    shape = struct.unpack(f">{start[3]}I", stream.read(4 * start[3]).ljust(4 * start[3], b"\0"))
    dtype = np.dtype(IDX_TYPES[start[2]])
    return _Column(name, stream, shape, dtype, None if size is None else size - stream.tell())


def _check_images(X: _Column) -> None:
    found = f"{X.name} {WANTED}; got {X.dtype} of shape {X.shape}"
    if 0 in X.shape:
        raise DataError(f"{found}. It is empty: see what saved it")
    if len(X.shape) != 3:
        one = X.shape if len(X.shape) == 2 else (28, 28)
        raise DataError(f"{found}. Mend it with reshape: {one} for one image is {(1, *one)}")
    if math.prod(X.shape[1:]) > MAX_PIXELS:
        raise DataError(f"{found}: no image is that large, so its header is damaged")
    if X.dtype == np.uint8:
        return
    if X.dtype.kind in "fc":
        _check_size(X)
        _check_finite(X, found)
    first = "if these do, " if X.dtype.kind in "iu" else "scale them, and "
    raise DataError(f"{found}. Pixels go from 0 to 255: {first}save X.astype('uint8')")


def _check_finite(X: _Column, found: str) -> None:
    at = 0
    for rows in X.rows(1 + 2**20 // math.prod(X.shape[1:])):
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=(1, 2)))
        if bad.size:
            raise DataError(f"{found}, and sample {at + bad[0]} has NaN or infinite pixels")
        at += len(rows)


def _check_labels(y: _Column, X: _Column) -> None:
    if y.dtype.kind not in "iu" or y.shape != X.shape[:1]:
        raise DataError(
            f"{y.name} must hold one whole number for each of the {X.shape[0]} images of "
            f"{X.name}; got {y.dtype} of shape {y.shape}"
        )
    _check_size(y)


def _check_size(column: _Column) -> None:
    wanted = math.prod(column.shape) * column.dtype.itemsize
    if column.held is not None and column.held != wanted:
        raise DataError(
            f"{column.name} is damaged or cut off: {column.shape} of {column.dtype} takes "
            f"{wanted:,} bytes, but it has {column.held:,}"
        )
