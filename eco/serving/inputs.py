"""What a strategy takes, by the kind of the study's data: from requests to samples.

Tables and texts are encoded as `eco predict` does it.
"""

import io
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

from eco.data.coded import Coding
from eco.data.columns import cell_error
from eco.data.encoding import TableEncoding
from eco.data.lines import read_lines
from eco.data.streams import Batch
from eco.errors import DataError, shortened
from eco.serving.protocol import Tensor

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

#: Media types of samples: numbers row by row, and lines of JSON.
NUMBERS, LINES = b"application/octet-stream", b"application/jsonl"
#: What messages call tensors, and a body.
TENSORS, BODY = "inputs", "the body"
#: What arrays of one tensor hold: the datatype of the protocol, and the code of Python's arrays.
CODES = {"uint8": ("UINT8", "B"), "int32": ("INT32", "i")}
_WHOLE: tuple[str, set[type]] = ("a whole number", {int})
_REAL: tuple[str, set[type]] = ("a number", {int, float})
#: What the values of a column are, and how JSON has them, by datatypes.
VALUES: dict[str, tuple[str, set[type]]] = {
    "BYTES": ("a text", {str}),
    "BOOL": ("true or false", {bool}),
    **{f"{sign}INT{bits}": _WHOLE for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": _REAL for bits in (16, 32, 64)},
}


class Inputs(Protocol):
    """What a strategy takes.

    ``samples``: what samples are called; ``shape``: of one; ``media``: types of bodies.
    """

    samples: str
    shape: tuple[int, ...]
    media: Sequence[bytes]

    def describe(self) -> list[dict[str, Any]]:
        """Name, datatype and shape of each tensor."""

    def from_tensors(self, tensors: Sequence[Tensor]) -> Array:
        """The samples of tensors; 400 if they hold anything else."""

    def from_body(self, body: bytes, media: bytes) -> Batch:
        """The samples of a body of a type, perhaps with ids; 400 if it holds anything else."""


def make_inputs(samples: str, shape: tuple[int, ...], coding: Coding | None) -> Inputs:
    """The inputs for samples of a shape, encoded so, or images where there is no coding."""
    if coding is None:
        return Arrays(samples, "uint8", shape, (NUMBERS, LINES))
    if isinstance(coding, TableEncoding) or coding.words:
        return Columns(samples, coding)
    return Arrays(samples, "int32", shape, (NUMBERS,))


class Arrays:
    """Samples that are numbers from 0 on: images, or the ids of a tokenizer."""

    def __init__(
        self, samples: str, dtype: str, shape: tuple[int, ...], media: Sequence[bytes]
    ) -> None:
        self.samples, self.shape, self.media = samples, shape, media
        self._dtype, (self._datatype, self._code) = np.dtype(dtype), CODES[dtype]
        self._size = math.prod(shape) * self._dtype.itemsize

    def describe(self) -> list[dict[str, Any]]:
        """One tensor, X."""
        return [{"name": "X", "datatype": self._datatype, "shape": [-1, *self.shape]}]

    def from_tensors(self, tensors: Sequence[Tensor]) -> Array:
        """The samples of a tensor, (n, ...)."""
        tensor = tensors[0]
        n, *size = tensor.shape or [0]
        found = tensor.name, tensor.datatype, *size
        if len(tensors) > 1 or found != ("X", self._datatype, *self.shape) or n < 1:
            others = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
            sizes = ", ".join(map(str, self.shape))
            raise HTTPException(
                400,
                f"inputs must be one tensor X of datatype {self._datatype} and shape [n, {sizes}], "
                f"n at least 1; got {tensor.name[:60]}, {tensor.datatype[:60]}, "
                f"{tensor.shape[:9]}{others}",
            )
        values = _flat(tensor)
        most = min(int(np.iinfo(self._dtype).max), 2**31 - 1)
        try:
            if set(map(type, values)) != {int} or min(values) < 0:
                raise ValueError
            numbers = array(self._code, values)
        except (ValueError, OverflowError):
            raise HTTPException(400, f"data must hold whole numbers from 0 to {most}") from None
        return np.frombuffer(numbers, self._dtype).reshape(tensor.shape)

    def from_body(self, body: bytes, media: bytes) -> Batch:
        """The samples of a body: of their bytes, or of lines."""
        if media == LINES:
            return self._from_lines(body)
        if not body or len(body) % self._size:
            width = self._dtype.itemsize
            size = " x ".join(map(str, self.shape if width == 1 else (*self.shape, width)))
            raise HTTPException(
                400,
                f"the body must hold {self.samples} of {size} bytes, a multiple of {self._size}; "
                f"got {len(body)} bytes",
            )
        X = np.frombuffer(body, self._dtype).reshape(-1, *self.shape)
        if self._dtype != np.uint8 and X.min() < 0:
            raise HTTPException(400, f"the body must hold numbers from 0 on; got {X.min()}")
        return Batch(X)

    def _from_lines(self, body: bytes) -> Batch:
        with _bad_request():
            batch = read_lines(body, BODY)
        if batch.X.shape[1:] != self.shape:
            wanted, found = (" x ".join(map(str, s)) for s in (self.shape, batch.X.shape[1:]))
            raise HTTPException(400, f"the body must hold {self.samples} of {wanted}; got {found}")
        return batch


class Columns:
    """Samples that are encoded: rows of a table by its columns, or texts."""

    media: Sequence[bytes] = (LINES,)

    def __init__(self, samples: str, coding: Coding) -> None:
        self.samples, self.shape, self._coding = samples, coding.shape, coding

    def describe(self) -> list[dict[str, Any]]:
        """A tensor for each column."""
        coding = self._coding
        if isinstance(coding, TableEncoding):
            columns = {c.name: "FP64" if c.categories is None else "BYTES" for c in coding.columns}
        else:
            columns = {coding.column: "BYTES"}
        return [{"name": n, "datatype": of, "shape": [-1]} for n, of in columns.items()]

    def from_tensors(self, tensors: Sequence[Tensor]) -> Array:
        """The samples of columns; others are ignored."""
        import pandas as pd

        n = max(tensors[0].shape[:1], default=0)
        for tensor in tensors:
            if n < 1 or tensor.shape not in ([n], [n, 1]):
                pair = dict.fromkeys((tensors[0].name, tensor.name))
                shapes = {each.name: each.shape[:9] for each in tensors}
                got = " and ".join(f"{shortened(m, 40)} of {shapes[m]}" for m in pair)
                problem = (
                    f"inputs must be columns of shape [n], of the same n, at least 1; got {got}"
                )
                raise HTTPException(400, problem)
        with _bad_request():
            frame = pd.DataFrame({place: _column(each) for place, each in enumerate(tensors)})
            frame.columns = pd.Index([tensor.name for tensor in tensors])
            return self._coding.encode(frame, TENSORS)

    def from_body(self, body: bytes, media: bytes) -> Batch:  # noqa: ARG002 - there is one
        """The samples of lines."""
        with _bad_request():
            return read_lines(body, BODY, self._coding)


def count_lines(body: bytes) -> int:
    """The lines of a body that may hold a sample."""
    return sum(not line.isspace() for line in io.BytesIO(body))


def _column(tensor: Tensor) -> "pd.Series[Any]":
    """The values of a column; null is a missing one."""
    import pandas as pd

    name, values = shortened(tensor.name, 40), _flat(tensor)
    if tensor.datatype not in VALUES:
        got = tensor.datatype[:60]
        raise DataError(f"the datatype of {name} must be one of {', '.join(VALUES)}; got {got}")
    what, types = VALUES[tensor.datatype]
    if not set(map(type, values)) <= types | {type(None)}:
        place = next(i for i, v in enumerate(values) if v is not None and type(v) not in types)
        objects = pd.Series(values, dtype=object)
        must = f"{what} or null, as {tensor.datatype}"
        raise cell_error(TENSORS, objects, place, tensor.name, must)
    if what == _WHOLE[0]:
        limits = np.iinfo(tensor.datatype.lower())
        outside = [v is not None and not limits.min <= v <= limits.max for v in values]
        if any(outside):
            must = f"from {limits.min} to {limits.max}, as {tensor.datatype}"
            objects = pd.Series(values, dtype=object)
            raise cell_error(TENSORS, objects, outside.index(True), tensor.name, must)
    return pd.Series(values, dtype=object if tensor.datatype == "BYTES" else None)


def _flat(tensor: Tensor) -> list[Any]:
    """The data of a tensor, flat; 400 if they are not of its shape."""
    data = tensor.data
    if data and isinstance(data[0], list):
        for length in tensor.shape[1:]:
            if not all(isinstance(part, list) and len(part) == length for part in data):
                data = []
                break
            data = list(chain.from_iterable(data))
    if len(data) != math.prod(tensor.shape):
        name, n = shortened(tensor.name, 40), math.prod(tensor.shape)
        raise HTTPException(400, f"data of {name} must hold the {n} values of shape {tensor.shape}")
    return data


@contextmanager
def _bad_request() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise HTTPException(400, str(error)) from None
