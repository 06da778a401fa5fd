"""The kinds of samples, told by their arrays."""

from typing import Any, Literal

from numpy.typing import NDArray

Kind = Literal["images", "table", "text"]
#: By type and axes of an array of samples.
KINDS: dict[tuple[str, int], Kind] = {
    ("uint8", 3): "images",
    ("uint8", 4): "images",
    ("float32", 2): "table",
    ("int32", 2): "text",
}


def kind_of(X: NDArray[Any]) -> Kind | None:
    """What samples are; None if the array holds none that a study takes."""
    return KINDS.get((X.dtype.name, X.ndim))
