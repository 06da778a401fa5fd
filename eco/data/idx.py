"""IDX files: a header, then an array in C order (http://yann.lecun.com/exdb/mnist/)."""

import io
import math
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError

Array = NDArray[Any]

#: Element types by the third byte of the file.
DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and element type of a decompressed file; the stream is left at the first element.

    Raises
    ------
    DataError
        If it isn't the header of an IDX file, or is cut off; `name` is what it calls the file.
    """
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES or not start[3]:
        raise DataError(f"{name} is not an IDX file")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{name} is not a whole IDX file: it ends within its header")
    return struct.unpack(f">{start[3]}I", sizes), np.dtype(DTYPES[start[2]])


def decode(name: str, content: bytes) -> Array:
    """A decompressed IDX file of unsigned bytes as an array.

    Raises
    ------
    DataError
        If it isn't one, or is longer or shorter than its header says.
    """
    stream = io.BytesIO(content)
    shape, dtype = read_header(stream, name)
    pixels = np.frombuffer(content, np.uint8, offset=stream.tell())
    if dtype != np.uint8 or pixels.size != math.prod(shape):
        raise DataError(
            f"{name} must be an IDX file of unsigned bytes; got {dtype} of shape {shape} and "
            f"{pixels.size} bytes"
        )
    return pixels.reshape(shape)
