"""What stands in front of a model of one's own: from samples to what it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.errors import FileError, ParamsError, extra
from eco.models.onnx.export import parse
from eco.runtime.session import FLOATS

with extra("onnx"):
    import onnx

Array = NDArray[Any]

#: What a graph may take.
NUMBERS = FLOATS | {f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (8, 16, 32, 64)}
#: Types of NumPy by the names that ONNX's text form has for them.
TYPES = {"float32": "float", "int32": "int32", "int64": "int64", "uint8": "uint8"}
#: What a graph of text may take, from ``X``, by the names that Hugging Face's exporters give.
TEXT_INPUTS: dict[str, list[str]] = {
    "input_ids": [],
    "attention_mask": ["Equal({0}, zero)", "Not({0})"],
    "token_type_ids": ["Sub({0}, {0})"],
}

FREE = (
    "Export it anew with the first axis free: torch.onnx.export(..., dynamic_shapes=({0: "
    "torch.export.Dim.DYNAMIC},)), or dynamic_axes={'NAME': {0: 'n'}} where dynamo=False."
)


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a file takes and gives: see `eco.models.kinds.onnx.Settings`."""

    gives: str
    output: str
    scale: float
    mean: Sequence[float]
    std: Sequence[float]
    layout: str


def front(
    path: Path, inputs: Sequence[Any], X: Array, interface: Interface, opset: int
) -> onnx.ModelProto:
    """A graph from ``X`` to what each input of a model takes: ``in0``, ``in1``, ..."""
    kind, shape = str(kind_of(X)), X.shape[1:]
    _check_inputs(path, inputs, kind)
    weights: dict[str, Any] = {"zero": np.int32(0)}
    steps, outputs = [], []
    for place, one in enumerate(inputs):
        chain, sizes = TEXT_INPUTS[one.name] if len(inputs) > 1 else [], shape
        if kind == "images":
            _check_pixels(path, one, shape, interface)
            chain, sizes, weights = _image_steps(shape, interface, flat=len(one.shape) == 2)
        _check_sizes(path, one, sizes, f"{kind} of shape {_text(shape)}")
        code = onnx.TensorProto.DataType.Value(element(one).upper())
        tensor = "X"
        for number, step in enumerate(chain):
            steps.append(f"step{place}_{number} = {step.format(tensor)}")
            tensor = f"step{place}_{number}"
        steps.append(f"in{place} = Cast<to = {code}>({tensor})")
        outputs.append(f"{element(one)}{_text(sizes)} in{place}")
    declared = "".join(
        f", {TYPES[value.dtype.name]}{list(value.shape) or ''} {name}"
        for name, value in weights.items()
    )
    body = f"""front ({TYPES[X.dtype.name]}{_text(shape)} X{declared}) => ({", ".join(outputs)})
        {{ {chr(10).join(steps)} }}"""
    return parse(body, weights, opset)


def element(value: Any) -> str:
    """The type of the numbers of an input or output, as ONNX's text form has it."""
    return str(value.type).removeprefix("tensor(").removesuffix(")")


def _text(sizes: Sequence[int | str | None]) -> str:
    """The shape of any number of samples of a shape."""
    return f"[{', '.join(['n', *(str(size or '?') for size in sizes)])}]"


def _check_inputs(path: Path, inputs: Sequence[Any], kind: str) -> None:
    names = [one.name for one in inputs]
    if kind == "text" and len(names) != 1 and not {"input_ids"} <= set(names) <= set(TEXT_INPUTS):
        others = " and ".join(list(TEXT_INPUTS)[1:])
        problem = f"must take one input, or input_ids and perhaps {others}; it takes {names}"
        raise FileError(f"{path} {problem}")
    if kind != "text" and len(names) != 1:
        raise FileError(f"{path} must take one input, {kind}; it takes {names}")
    known, numbers = (FLOATS, "floats") if kind == "table" else (NUMBERS, "numbers")
    for one in inputs:
        if one.type not in known:
            raise FileError(f"{path} must take {numbers} as {one.name!r}; it takes {one.type}")
        if one.shape and isinstance(one.shape[0], int):
            problem = f"must take any number of samples as {one.name!r}; it takes {one.shape[0]}"
            raise FileError(f"{path} {problem}", FREE)


def _check_sizes(path: Path, one: Any, sizes: Sequence[int], samples: str) -> None:
    taken = one.shape[1:]
    pairs = zip(taken, sizes, strict=False)
    fits = len(taken) == len(sizes) and all(not isinstance(a, int) or a == b for a, b in pairs)
    if one.shape and not fits:
        problem = f"must take {one.name!r} of shape {_text(sizes)}, made of {samples}"
        remedy = "layout in its section of params.yaml adds or moves an axis of channels."
        raise FileError(
            f"{path} {problem}; it takes {_text(taken)}", remedy if "images" in samples else ""
        )


def _check_pixels(path: Path, one: Any, shape: tuple[int, ...], interface: Interface) -> None:
    if one.type not in FLOATS and (interface.scale != 1 or interface.mean or interface.std):
        raise ParamsError(
            f"params.yaml: {path} takes pixels as {element(one)}, so scale must be 1.0, and mean "
            f"and std []; got {interface.scale:g}, {list(interface.mean)} and {list(interface.std)}"
        )
    channels = shape[2] if len(shape) == 3 else 1
    for name, values in (("mean", interface.mean), ("std", interface.std)):
        if len(values) not in (0, channels):
            raise ParamsError(
                f"params.yaml: {name} of {path} must be [], or hold a number for each of the "
                f"{channels} channels; got {list(values)}"
            )


def _image_steps(
    shape: tuple[int, ...], interface: Interface, flat: bool
) -> tuple[list[str], tuple[int, ...], dict[str, Any]]:
    """Operators from uint8 pixels to what a graph takes, its sizes, and their constants."""
    mean, std = np.array(interface.mean or [0.0]), np.array(interface.std or [1.0])
    weights = {"factor": interface.scale / std, "offset": -mean / std}
    constants = {name: value.astype(np.float32) for name, value in weights.items()}
    # The product stands there in any case: a quantized model would take pixels alone for scaled.
    chain, sizes = ["Cast<to = 1>({0})", "Mul({0}, factor)"], shape
    axis: list[int] = []
    if mean.any():
        chain.append("Add({0}, offset)")
    if interface.layout == "first" and len(shape) == 3:
        chain.append("Transpose<perm = [0, 3, 1, 2]>({0})")
        sizes = (shape[2], *shape[:2])
    elif interface.layout != "none" and len(shape) == 2:
        chain.append("Unsqueeze({0}, axis)")
        axis, sizes = ([1], (1, *shape)) if interface.layout == "first" else ([3], (*shape, 1))
    if flat:
        chain.append("Flatten<axis = 1>({0})")
        sizes = (int(np.prod(sizes)),)
    return chain, sizes, constants | {"axis": np.array(axis, np.int64)}
