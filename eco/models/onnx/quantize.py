"""Graphs that compute with 8-bit integers: less energy for nearly the same predictions."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import ModelError, extra
from eco.models.onnx.export import canonical
from eco.models.onnx.fold import fold_stem
from eco.runtime.session import reason

with extra("onnx"):
    import onnx

Array = NDArray[Any]

#: Samples per call while the ranges of the activations are observed.
BATCH_SIZE = 100
#: Operators that stay in floats: 8 bits of a probability would be too few to set thresholds by.
FLOAT = {"Cast", "Div", "Identity", "Sqrt", "Softmax"}
#: Operators between pixels and first layer that integers don't need, and that only reshape.
SCALING = ("Cast", "Div", "Identity")
SHAPING = ("Pad", "Reshape", "Unsqueeze", "Squeeze", "Transpose")
#: Operators that multiply by weights: what is in front of the first makes features.
LAYERS = ("Conv", "Gemm", "MatMul")


def quantize(graph: onnx.ModelProto, X: Array) -> onnx.ModelProto:
    """A model's graph whose weights and activations are 8-bit integers.

    Static quantization by ONNX Runtime (Jacob et al. 2018, "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference"), one scale per output channel; the
    first convolution may be folded. Weights keep 7 bits, so that sums can't overflow without VNNI.
    What makes features of samples stays in floats, and so do the vectors of words.

    Parameters
    ----------
    graph : onnx.ModelProto
        From samples to probabilities: a network, or a linear model.
    X : array of shape (n_samples, ...)
        Samples that set the ranges of the activations; none that the model is judged on.

    Raises
    ------
    ModelError
        If the graph can't be quantized.
    """
    with extra("onnx"):
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    if not can_be_quantized(graph):
        raise ModelError(
            "must end in a softmax of its scores, and hold no trees, to compute with 8-bit "
            "integers, as those of logistic_regression and of networks do; it ends in "
            + " and ".join(node.op_type for node in graph.graph.node[-2:])
        )
    graph = fold_stem(graph)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, _refusing():
        logging.disable(logging.WARNING)  # ONNX Runtime's advice to do what is done here
        stack.callback(logging.disable, logging.NOTSET)
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(onnx.shape_inference.infer_shapes(_with_fused_layers(graph)), before)
        quantize_static(
            before,
            after,
            _Batches(X),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=_float_nodes(graph),
            # Ranges are observed where a type is quantized, and missing values have none.
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - {"Where"}),
        )
        result = onnx.load(after)
    return canonical(_with_float_scores(_with_integer_pixels(result)), "probabilities")


def can_be_quantized(graph: onnx.ModelProto) -> bool:
    """Whether a graph's scores are sums of products, and its last node is their softmax.

    Probabilities that integers compute would be among 256 numbers, and trees multiply nothing.
    """
    types = [node.op_type for node in graph.graph.node]
    return types[-1] == "Softmax" and not any(name.startswith("TreeEnsemble") for name in types)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        problem = f"must be such that ONNX Runtime can quantize it ({reason(error)})"
        raise ModelError(problem) from None


def _producers(graph: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Each tensor that is computed, and the node that does."""
    return {tensor: node for node in graph.graph.node for tensor in node.output}


def _float_nodes(graph: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay in floats, those in front of the first layers among them."""
    behind, names = set[str](), []
    for node in graph.graph.node:
        is_behind = node.op_type in LAYERS or not behind.isdisjoint(node.input)
        if is_behind:
            behind.update(node.output)
        if node.op_type in FLOAT or not (is_behind or node.op_type in SHAPING):
            names.append(node.name)
    return names


class _Batches:
    """Hands out samples as ONNX Runtime's `CalibrationDataReader` does."""

    def __init__(self, X: Array) -> None:
        starts = range(0, len(X), BATCH_SIZE)
        self._batches = iter([{"X": X[start : start + BATCH_SIZE]} for start in starts])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


def _with_fused_layers(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each product, scale and offset of a dense layer as one operation."""
    fused = onnx.ModelProto.FromString(graph.SerializeToString())
    body = fused.graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in body.initializer}
    known = onnx.shape_inference.infer_shapes(graph).graph.value_info
    axes = {value.name: len(value.type.tensor_type.shape.dim) for value in known}
    for product in [node for node in body.node if node.op_type == "MatMul"]:
        if product.input[1] in weights and axes.get(product.input[0], 2) == 2:
            _fuse(body, product, weights)
    used = {name for node in body.node for name in node.input}
    kept = [weight for weight in body.initializer if weight.name in used]
    del body.initializer[:]
    body.initializer.extend(kept)
    return fused


def _fuse(body: onnx.GraphProto, product: onnx.NodeProto, weights: dict[str, Array]) -> None:
    """Make a product, and the scales and offsets by constants behind it, one Gemm."""
    name, output = product.output[0], product.output[0]
    W: Array = weights[product.input[1]]
    b: Array = np.zeros(1, np.float32)
    while (node := _only_reader(body, output)) is not None:
        constants = [weights[tensor] for tensor in node.input if tensor in weights]
        if node.op_type not in ("Mul", "Add") or not constants:
            break
        if node.op_type == "Mul":
            W, b = W * constants[0].reshape(1, -1), b * constants[0]
        else:
            b = b + constants[0]
        output = node.output[0]
        body.node.remove(node)
    b = np.broadcast_to(np.ravel(b), W.shape[1:]).astype(np.float32)
    for suffix, value in (("W", W), ("b", b)):
        constant = onnx.numpy_helper.from_array(np.ascontiguousarray(value), f"{name}_{suffix}")
        body.initializer.append(constant)
    product.op_type, product.output[0] = "Gemm", output
    product.input[:] = [product.input[0], f"{name}_W", f"{name}_b"]


def _only_reader(body: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    readers = [node for node in body.node if tensor in node.input]
    return readers[0] if len(readers) == 1 else None


def _with_integer_pixels(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph reading uint8 pixels as the integers that they are, unless it bends them."""
    body, producers = graph.graph, _producers(graph)
    if body.input[0].type.tensor_type.elem_type != onnx.TensorProto.UINT8:
        return graph
    constants = {weight.name: weight for weight in body.initializer}
    for node in [node for node in body.node if node.op_type == "QuantizeLinear"]:
        path, tensor = [], node.input[0]
        while tensor in producers and producers[tensor].op_type in (*SCALING, *SHAPING):
            path.append(producers[tensor])
            tensor = path[-1].input[0]
        if tensor != body.input[0].name:
            continue
        for name, value in zip(node.input[1:3], (np.float32(1 / 255), np.uint8(0)), strict=True):
            constants[name].CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))
        for step in reversed([step for step in path if step.op_type in SHAPING]):
            step.input[0], tensor = tensor, step.output[0]
        for reader in body.node:
            reader.input[:] = [tensor if x == node.output[0] else x for x in reader.input]
    _rescale_biases(graph)
    return graph


def _rescale_biases(graph: onnx.ModelProto) -> None:
    """Give each bias the scale of the products that runtimes add it to: of inputs by weights."""
    producers = _producers(graph)
    constants = {weight.name: weight for weight in graph.graph.initializer}
    for node in graph.graph.node:
        factors = [producers.get(tensor) for tensor in node.input]
        names = [f.input[1] for f in factors if f is not None and f.op_type == "DequantizeLinear"]
        if node.op_type not in LAYERS or len(names) != 3:
            continue
        x, W, before = (onnx.numpy_helper.to_array(constants[name]) for name in names)
        if np.allclose(x * W, before, rtol=1e-5, atol=0):
            continue
        bias = constants[producers[node.input[2]].input[0]]
        rescaled = np.rint(onnx.numpy_helper.to_array(bias) * (before.astype(float) / (x * W)))
        for weight, value in ((bias, rescaled.astype(np.int32)), (constants[names[2]], x * W)):
            weight.CopyFrom(onnx.numpy_helper.from_array(value, weight.name))


def _with_float_scores(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph whose last product gives floats to the softmax instead of 8-bit integers."""
    producers = _producers(graph)
    softmax = producers[graph.graph.output[0].name]
    dequantize = producers[softmax.input[0]]
    if dequantize.op_type == "DequantizeLinear":
        quantize = producers.get(dequantize.input[0])
        if quantize is not None and quantize.op_type == "QuantizeLinear":
            softmax.input[0] = quantize.input[0]
    return graph
