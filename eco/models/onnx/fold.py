"""A first convolution that integers compute faster: folded, with the same answers."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from eco.models.onnx.export import canonical, parse

Array = NDArray[Any]

#: Operators that scale pixels, and that only arrange them.
SCALING, SHAPING = ("Cast", "Div", "Identity"), ("Reshape", "Unsqueeze", "Squeeze")
#: The first convolution that can be folded, and the pooling behind it.
CONVOLUTION = {
    "kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1],
    "group": 1,
}  # fmt: skip
POOLING = {"kernel_shape": [2, 2], "strides": [2, 2]}


def fold_stem(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every 2 x 2 pixels as four channels of one (space-to-depth).

    A convolution of 3 x 3 over one channel, of whose answers the largest of every 2 x 2 is kept,
    is one of 2 x 2 over four channels that answers for the four places at once. Its sums are the
    same, on a quarter of the places: runtimes compute few channels slowly. In floats it is the
    rearrangement that costs more than is saved.

    Parameters
    ----------
    graph : onnx.ModelProto
        From samples. Returned as it is if it doesn't begin in this way, on grey images of even
        height and width.
    """
    stem = _stem(graph)
    if stem is None:
        return graph
    (convolution, _, pooling), weights = stem[-3:], _weights(graph)
    kernels = weights[convolution.input[1]]
    has_biases = len(convolution.input) == 3
    biases = weights[convolution.input[2]] if has_biases else np.zeros(len(kernels), np.float32)
    inferred = onnx.shape_inference.infer_shapes(graph)
    end = pooling.output[0]
    rest = onnx.utils.Extractor(inferred).extract_model([end], [graph.graph.output[0].name])
    height, width = _image_shape(graph)
    folded = onnx.compose.merge_models(
        _folded(kernels, biases, height // 2, width // 2),
        onnx.compose.add_prefix(rest, "rest_"),
        io_map=[("stem", f"rest_{end}")],
    )
    return canonical(folded, graph.graph.output[0].name)


def _stem(graph: onnx.ModelProto) -> list[onnx.NodeProto] | None:
    """The nodes from the images to the pooling, if these can be folded."""
    if len(_image_shape(graph)) != 2:
        return None
    body, nodes = graph.graph, list[onnx.NodeProto]()
    tensor = body.input[0].name
    while not nodes or nodes[-1].op_type != "MaxPool":
        readers = [node for node in body.node if tensor in node.input]
        if len(readers) != 1:
            return None
        nodes += readers
        tensor = readers[0].output[0]
    if len(nodes) < 3:
        return None
    *front, convolution, activation, pooling = nodes
    weights = _weights(graph)
    fits = (
        {node.op_type for node in front} <= {*SCALING, *SHAPING}
        and (convolution.op_type, activation.op_type) == ("Conv", "Relu")
        and _attributes(convolution) == CONVOLUTION
        and _attributes(pooling) == POOLING
        and all(name in weights for name in convolution.input[1:])
        and weights[convolution.input[1]].shape[1] == 1
        and not any(size % 2 for size in _image_shape(graph))
    )
    return nodes if fits else None


def _weights(graph: onnx.ModelProto) -> dict[str, Array]:
    return {w.name: onnx.numpy_helper.to_array(w) for w in graph.graph.initializer}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _image_shape(graph: onnx.ModelProto) -> list[int]:
    return [size.dim_value for size in graph.graph.input[0].type.tensor_type.shape.dim[1:]]


def _folded(kernels: Array, biases: Array, rows: int, columns: int) -> onnx.ModelProto:
    """The folded stem of kernels (n_filters, 1, 3, 3), from images to (n_filters, rows, columns).

    Channels come last where they can: integers are computed in that order, and the largest of the
    four places is a pooling over neighbours.
    """
    n_filters = len(kernels)
    folded = np.zeros((4, n_filters, 4, 2, 2), np.float32)
    for place, row, column in np.ndindex(4, 3, 3):
        y, x = place // 2 + row, place % 2 + column
        folded[place, :, y % 2 * 2 + x % 2, y // 2, x // 2] = kernels[:, 0, row, column]
    constants = {
        "edge": np.array([0, 1, 1, 0, 1, 1]),
        "split": np.array([0, rows + 1, 2, columns + 1, 2]),
        "joined": np.array([0, rows + 1, columns + 1, 4]),
        "places": np.array([0, rows * columns, 4, n_filters]),
        "map": np.array([0, rows, columns, n_filters]),
        "white": np.array([255], np.float32),
        "K": folded.reshape(4 * n_filters, 4, 2, 2),
        "b": np.tile(biases, 4),
    }
    declared = ", ".join(
        f"{'int64' if value.dtype == np.int64 else 'float'}{list(value.shape)} {name}"
        for name, value in constants.items()
    )
    return parse(
        f"""stem (uint8[n, {2 * rows}, {2 * columns}] X, {declared})
            => (float[n, {n_filters}, {rows}, {columns}] stem)
        {{
            framed = Pad(X, edge)
            numbers = Cast<to = 1>(framed)
            scaled = Div(numbers, white)
            pairs = Reshape(scaled, split)
            blocks = Transpose<perm = [0, 1, 3, 2, 4]>(pairs)
            last = Reshape(blocks, joined)
            first = Transpose<perm = [0, 3, 1, 2]>(last)
            sums = Conv<kernel_shape = [2, 2]>(first, K, b)
            answers = Relu(sums)
            answers_last = Transpose<perm = [0, 2, 3, 1]>(answers)
            by_place = Reshape(answers_last, places)
            places_last = Transpose<perm = [0, 3, 1, 2]>(by_place)
            largest = MaxPool<kernel_shape = [1, 4], strides = [1, 4]>(places_last)
            largest_last = Transpose<perm = [0, 2, 3, 1]>(largest)
            mapped = Reshape(largest_last, map)
            stem = Transpose<perm = [0, 3, 1, 2]>(mapped)
        }}""",
        constants,
    )
