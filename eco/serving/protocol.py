"""What requests and answers hold, by the Open Inference Protocol V2 and as arrays.

The protocol: github.com/kserve/open-inference-protocol. Without its binary extension.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, StrictInt

if TYPE_CHECKING:
    from eco.serving.service import Answered, Served

Array = NDArray[Any]
Output = Literal["label", "class", "confidence", "answered_by", "energy_j", "probabilities"]
#: Datatypes of the outputs, as the protocol calls them.
DATATYPES: dict[Output, str] = {
    "label": "INT64", "class": "BYTES", "confidence": "FP64", "answered_by": "BYTES",
    "energy_j": "FP64", "probabilities": "FP32",
}  # fmt: skip
#: Outputs of a request that names none.
DEFAULT: Sequence[Output] = get_args(Output)[:-1]
#: A row of the answers as .npy.
ROW = np.dtype([("label", "i8"), ("confidence", "f8"), ("answered_by", "i8"), ("energy_j", "f8")])


class Tensor(BaseModel):
    """A tensor; ``data`` is flat, row by row, or nested as ``shape`` says."""

    name: str
    shape: list[StrictInt]
    datatype: str
    data: list[Any]


class RequestedOutput(BaseModel):
    """An output that is asked for."""

    name: Output


class InferRequest(BaseModel):
    """The tensors that the metadata of the model lists."""

    id: str | None = None
    inputs: list[Tensor] = Field(min_length=1)
    outputs: list[RequestedOutput] | None = None


class InferAnswer(BaseModel):
    """A tensor for each output."""

    model_name: str
    id: str | None = None
    outputs: list[Tensor]


class Predictions(BaseModel):
    """A list for each output, an entry for each sample; ids where there are."""

    id: list[str | int] | None = None
    label: list[int]
    classes: list[str] = Field(alias="class")
    confidence: list[float]
    answered_by: list[str]
    energy_j: list[float]


class Failure(BaseModel):
    """Why there is no answer."""

    error: str


def columns(
    answered: "Answered", served: "Served", names: Iterable[Output]
) -> dict[Output, list[Any]]:
    """Outputs as flat lists, sample by sample."""
    answers = answered.answers
    labels = answers.labels.tolist()
    values: dict[Output, Callable[[], list[Any]]] = {
        "label": lambda: labels,
        "class": lambda: [served.classes[label] for label in labels],
        "confidence": answers.confidence.tolist,
        "answered_by": lambda: [served.models[i] for i in answers.answered_by.tolist()],
        "energy_j": answered.energy_j.tolist,
        "probabilities": answers.probabilities.ravel().tolist,
    }
    return {name: values[name]() for name in names}


def to_tensors(
    answered: "Answered", served: "Served", names: Iterable[Output]
) -> list[dict[str, Any]]:
    """Outputs as tensors of the protocol."""
    lists, n = columns(answered, served, names), len(answered.energy_j)
    return [describe_output(name, served, n) | {"data": data} for name, data in lists.items()]


def describe_output(name: Output, served: "Served", n: int = -1) -> dict[str, Any]:
    """Name, datatype and shape of an output, for so many samples."""
    shape = [n, len(served.classes)] if name == "probabilities" else [n]
    return {"name": name, "datatype": DATATYPES[name], "shape": shape}


def to_npy(answered: "Answered") -> bytes:
    """A structured array of label, confidence, answered_by (an index) and energy_j, as .npy."""
    answers = answered.answers
    rows = np.empty(len(answered.energy_j), ROW)
    rows["label"], rows["confidence"] = answers.labels, answers.confidence
    rows["answered_by"], rows["energy_j"] = answers.answered_by, answered.energy_j
    return _npy_head(len(rows)) + rows.tobytes()


@lru_cache(maxsize=1024)
def _npy_head(n: int) -> bytes:
    """What stands before so many rows: to write it anew takes longer than a small model."""
    stream = io.BytesIO()
    np.save(stream, np.empty(n, ROW), allow_pickle=False)
    return stream.getvalue()[: -n * ROW.itemsize]
