"""Graphs that compute with 8-bit integers: less energy at nearly the same answers."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from eco import graphs
from eco.errors import ModelError

Array = NDArray[Any]

#: Samples per call while the ranges of the activations are watched.
BATCH_SIZE = 100
#: What stays in floats: the way from uint8 pixels to shares of white, and from scores to
#: probabilities. Eight bits of a probability would be too few to set thresholds by.
FLOAT = {"Cast", "Div", "Identity", "Sqrt", "Softmax"}
#: What lies between the pixels and the first layer: arithmetic that the integers don't need, and
#: what only lays them out anew.
SCALING = ("Cast", "Div", "Identity")
SHAPING = ("Reshape", "Unsqueeze", "Squeeze", "Transpose")
#: What multiplies by weights.
PRODUCTS = {"Conv", "Gemm", "MatMul"}
WHITE = 255


def quantized(graph: onnx.ModelProto, X: Array) -> onnx.ModelProto:
    """A model's graph whose weights and activations are 8-bit integers.

    Static quantization by ONNX Runtime (Jacob et al. 2018, "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference"), one scale per output channel.
    Weights keep 7 bits, so that sums can't overflow on processors without VNNI. Those of a
    convolution over the pixels are rounded together (see `rounded_together`).

    Parameters
    ----------
    graph : onnx.ModelProto
        From uint8 images to probabilities: a network, or a linear model.
    X : array of shape (n_samples, height, width), uint8
        Images that set the ranges of the activations; none that the model is judged on.

    Returns
    -------
    onnx.ModelProto
        Of the same input and output.

    Raises
    ------
    ModelError
        If the graph doesn't end in a softmax: its probabilities would be among 256 numbers.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    end = _end(graph).op_type
    if end != "Softmax":
        raise ModelError(
            "a model computes with 8-bit integers only if its graph ends in a softmax of its "
            f"scores, as those of logistic_regression and of networks do; this one ends in {end}"
        )
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        floats = onnx.shape_inference.infer_shapes(_folded(graph))
        onnx.save(floats, before)
        with _without_advice():
            quantize_static(
                before,
                after,
                _reader(X),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=[node.name for node in graph.graph.node if node.op_type in FLOAT],
            )
        result = onnx.load(after)
    result = _with_pixels_as_they_are(_rounded_together(result, floats, X))
    return graphs.canonical(_with_float_scores(result), "probabilities")


def _end(graph: onnx.ModelProto) -> onnx.NodeProto:
    """What gives the output of a graph."""
    body = graph.graph
    return next(node for node in body.node if body.output[0].name in node.output)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without ONNX Runtime's advice of a step for graphs whose shapes aren't known: these are."""

    def is_no_advice(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    logging.getLogger().addFilter(is_no_advice)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(is_no_advice)


def _reader(X: Array) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the samples a batch at a time."""

        def __init__(self) -> None:
            starts = range(0, len(X), BATCH_SIZE)
            self._batches: Iterator[Array] = iter([X[at : at + BATCH_SIZE] for at in starts])

        def get_next(self) -> dict[str, Array] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"X": batch}

    return Reader()


def _folded(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with each product, scale and offset of a dense layer as one operation."""
    folded = onnx.ModelProto.FromString(graph.SerializeToString())
    body = folded.graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in body.initializer}
    for product in [node for node in body.node if node.op_type == "MatMul"]:
        if product.input[1] not in weights:
            continue
        W: Array = weights[product.input[1]]
        offset: Array = np.zeros(1, np.float32)
        last = product
        while (following := _only_reader(body, last.output[0])) is not None:
            constant = [weights[name] for name in following.input if name in weights]
            if following.op_type not in ("Mul", "Add") or not constant:
                break
            if following.op_type == "Mul":
                W, offset = W * constant[0].reshape(1, -1), offset * constant[0]
            else:
                offset = offset + constant[0]
            last = following
            body.node.remove(following)
        offset = np.broadcast_to(np.ravel(offset), W.shape[1:]).astype(np.float32)
        names = [f"{product.output[0]}_W", f"{product.output[0]}_b"]
        for name, value in zip(names, (W, offset), strict=True):
            body.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        product.op_type = "Gemm"
        made = last.output[0]
        product.input[1] = names[0]
        product.input.append(names[1])
        product.output[0] = made
    used = {name for node in body.node for name in node.input}
    kept = [weight for weight in body.initializer if weight.name in used]
    del body.initializer[:]
    body.initializer.extend(kept)
    return folded


def _only_reader(body: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    readers = [node for node in body.node if tensor in node.input]
    return readers[0] if len(readers) == 1 else None


def _with_pixels_as_they_are(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph reading uint8 pixels as the integers that they are, where they are not bent."""
    body = graph.graph
    producers = {tensor: node for node in body.node for tensor in node.output}
    constants = {weight.name: weight for weight in body.initializer}
    for node in [node for node in body.node if node.op_type == "QuantizeLinear"]:
        way, tensor = [], node.input[0]
        while tensor in producers and producers[tensor].op_type in (*SCALING, *SHAPING):
            way.append(producers[tensor])
            tensor = way[-1].input[0]
        if tensor != body.input[0].name:
            continue
        for name, value in zip(node.input[1:3], (np.float32(1 / WHITE), np.uint8(0)), strict=True):
            constants[name].CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))
        for shaping in reversed([step for step in way if step.op_type in SHAPING]):
            shaping.input[0], tensor = tensor, shaping.output[0]
        for reader in body.node:
            for at, name in enumerate(reader.input):
                if name == node.output[0]:
                    reader.input[at] = tensor
    return graph


def _with_float_scores(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph whose last product gives floats to the softmax instead of 8-bit integers."""
    body = graph.graph
    producers = {tensor: node for node in body.node for tensor in node.output}
    softmax = producers[body.output[0].name]
    after = producers[softmax.input[0]]
    before = producers[after.input[0]] if after.op_type == "DequantizeLinear" else None
    if before is not None and before.op_type == "QuantizeLinear":
        softmax.input[0] = before.input[0]
    return graph


def _rounded_together(graph: onnx.ModelProto, floats: onnx.ModelProto, X: Array) -> onnx.ModelProto:
    """The graph with the weights of every convolution over the pixels rounded together."""
    body = graph.graph
    producers = {tensor: node for node in body.node for tensor in node.output}
    constants = {weight.name: weight for weight in body.initializer}
    trained = {weight.name: weight for weight in floats.graph.initializer}
    kernels = {node.name: node.input[1] for node in floats.graph.node if node.op_type == "Conv"}
    learnt: set[str] = set()
    for node in body.node:
        after_weights = not learnt.isdisjoint(node.input)
        if after_weights or node.op_type in PRODUCTS:
            learnt.update(node.output)
        grouped = any(a.name == "group" and a.i != 1 for a in node.attribute)
        if node.op_type != "Conv" or after_weights or grouped:
            continue
        stored, step = (constants[name] for name in producers[node.input[1]].input[:2])
        rounded, steps = onnx.numpy_helper.to_array(stored), onnx.numpy_helper.to_array(step)
        filters = onnx.numpy_helper.to_array(trained[kernels[node.name]])
        products = _mean_products(graph, node, filters[0].shape, X)
        together = [
            rounded_together(one, size, start, products)
            for one, size, start in zip(
                filters.reshape(len(filters), -1), steps, rounded.reshape(len(filters), -1),
                strict=True,
            )
        ]  # fmt: skip
        new = np.array(together, rounded.dtype).reshape(rounded.shape)
        stored.CopyFrom(onnx.numpy_helper.from_array(new, stored.name))
    return graph


def _mean_products(
    graph: onnx.ModelProto, convolution: onnx.NodeProto, shape: tuple[int, ...], X: Array
) -> Array:
    """Mean products of what lies under each two weights of a filter, (n_weights, n_weights)."""
    import onnxruntime

    cut = onnx.ModelProto.FromString(graph.SerializeToString())
    body, n_weights = cut.graph, int(np.prod(shape))
    before = list(body.node)[: list(graph.graph.node).index(convolution)]
    under = onnx.NodeProto.FromString(convolution.SerializeToString())
    # A filter for each weight, which gives what lies under it: padding and strides included.
    each = np.eye(n_weights, dtype=np.float32).reshape(n_weights, *shape)
    body.initializer.append(onnx.numpy_helper.from_array(each, "each"))
    under.input[:] = [under.input[0], "each"]
    answer = onnx.helper.make_tensor_value_info(under.output[0], onnx.TensorProto.FLOAT, None)
    for field, content in (("node", [*before, under]), ("output", [answer])):
        body.ClearField(field)
        getattr(body, field).extend(content)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: it would warn of each weight that was cut off
    session = onnxruntime.InferenceSession(cut.SerializeToString(), options)
    products, places = np.zeros((n_weights, n_weights)), 0
    for at in range(0, len(X), BATCH_SIZE):
        (seen,) = session.run(None, {body.input[0].name: X[at : at + BATCH_SIZE]})
        rows = np.moveaxis(seen, 1, -1).reshape(-1, n_weights).astype(float)
        products += rows.T @ rows
        places += len(rows)
    return products / places


def rounded_together(weights: Array, step: float, rounded: Array, products: Array) -> Array:
    """Whole numbers of steps whose sum of products is as near as possible to that of the weights.

    Where pixels are nearly alike, a filter's weights cancel each other out; rounded one by one,
    what is left of them is another number. The measure is that of Nagel et al. 2020 ("Up or Down?
    Adaptive Rounding for Post-Training Quantization"): the mean square error of the filter's
    answer. From the nearest whole numbers on, one or two weights move by one for as long as that
    gets smaller.

    Parameters
    ----------
    weights : array of shape (n_weights,)
        Of one filter.
    step : float
        What one is worth.
    rounded : array of shape (n_weights,), int
        Where to start; no weight leaves their range.
    products : array of shape (n_weights, n_weights)
        Mean products of what the weights are multiplied by.

    Returns
    -------
    array of shape (n_weights,), int
    """
    which = np.tile(np.arange(len(weights)), 2)
    sign = np.repeat([1, -1], len(weights))
    # What a second move adds to a first one, beyond what each does by itself.
    joint = 2 * np.outer(sign, sign) * products[np.ix_(which, which)]
    limit = np.abs(rounded.astype(int)).max()
    best = rounded.astype(int)
    while True:
        error = best - weights / step
        one = 2 * sign * (products @ error)[which] + products.diagonal()[which]
        two = np.add.outer(one, one) + joint
        np.fill_diagonal(two, one)
        too_far = np.abs(best[which] + sign) > limit
        two[too_far] = two[:, too_far] = 0
        moves = np.unravel_index(two.argmin(), two.shape)
        # Smaller gains are noise of the arithmetic, which could go in circles.
        if two[moves] >= -1e-9 * (error @ products @ error):
            return best
        for move in set(moves):
            best[which[move]] += sign[move]
