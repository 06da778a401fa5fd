"""Fitted classifiers and networks as ONNX graphs, the same bytes for the same model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra
from eco.models.sklearn import BRIGHTNESS_BLOCK, EDGE_BLOCK

with extra("onnx"):
    import onnx

Array = NDArray[Any]

OPSET = 15
IR_VERSION = 8


def export_classifier(
    classifier: Any, shape: tuple[int, ...], output: str, pixels: str = "linear"
) -> onnx.ModelProto:
    """A fitted scikit-learn classifier as a graph that takes uint8 images.

    Parameters
    ----------
    classifier : estimator
        Fitted on features of images.
    shape : tuple of int
        Height and width of an image.
    output : {"probabilities", "label"}
        What the graph gives.
    pixels : {"linear", "square_root", "whole", "edges"}
        The features: see `eco.models.sklearn.features`.
    """
    with extra("train"):
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

    n_features = classifier.n_features_in_
    graph = to_onnx(
        classifier,
        initial_types=[("features", FloatTensorType([None, n_features]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": 2},
    )
    _drop_zero_votes(graph)
    return _from_images(graph, shape, (n_features,), output, output, pixels)


#: What a node of trees says of its leaves' votes: one entry for each leaf and class.
VOTES = {"class_treeids": "ints", "class_nodeids": "ints", "class_ids": "ints",
         "class_weights": "floats"}  # fmt: skip


def _drop_zero_votes(graph: onnx.ModelProto) -> None:
    """Remove the votes of 0 from a tree ensemble: they change no sum, but each is added."""
    for node in graph.graph.node:
        if node.op_type != "TreeEnsembleClassifier":
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if len(attributes["classlabels_int64s"].ints) == 2:
            continue  # runtimes tell the binary form by its votes
        counted = np.asarray(attributes["class_weights"].floats) != 0
        for name, kind in VOTES.items():
            votes = getattr(attributes[name], kind)
            kept = np.asarray(votes)[counted].tolist()
            del votes[:]
            votes.extend(kept)


def export_softmax(
    coefficients: Array, intercepts: Array, shape: tuple[int, ...], pixels: str
) -> onnx.ModelProto:
    """A linear model whose probabilities are the softmax of its scores, from uint8 images.

    Parameters
    ----------
    coefficients : array of shape (n_classes, n_pixels)
    intercepts : array of shape (n_classes,)
    shape : tuple of int
        Height and width of an image.
    pixels : {"linear", "square_root"}
    """
    n_classes, n_pixels = coefficients.shape
    graph = parse(
        f"""linear (float[n, {n_pixels}] features, float[{n_pixels}, {n_classes}] W,
            float[{n_classes}] b) => (float[n, {n_classes}] probabilities)
        {{
            scores = Gemm(features, W, b)
            probabilities = Softmax<axis = -1>(scores)
        }}""",
        {"W": coefficients.T.astype(np.float32), "b": intercepts.astype(np.float32)},
    )
    return _from_images(graph, shape, (n_pixels,), "probabilities", "probabilities", pixels)


def export_scores(classifier: Any, shape: tuple[int, ...], pixels: str) -> onnx.ModelProto:
    """A fitted multi-label classifier as a graph that gives a score in [0, 1] for each label.

    Parameters
    ----------
    classifier : sklearn.neural_network.MLPClassifier
        Fitted on label indicators, and on features of images or on probabilities.
    shape : tuple of int
        Height and width of an image; or the number of classes, where it reads probabilities.
    pixels : {"linear", "square_root"}
    """
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    n_inputs, n_outputs = len(layers[0][0]), len(layers[-1][1])
    weights: dict[str, Array] = {}
    steps = ["h0 = Identity(features)"]
    for i, (W, b) in enumerate(layers):
        weights |= {f"W{i}": W.astype(np.float32), f"b{i}": b.astype(np.float32)}
        activation = "Sigmoid" if i == len(layers) - 1 else "Relu"
        steps += [f"z{i + 1} = Gemm(h{i}, W{i}, b{i})", f"h{i + 1} = {activation}(z{i + 1})"]
    steps.append(f"scores = Identity(h{len(layers)})")
    declared = ", ".join(f"float{list(weight.shape)} {name}" for name, weight in weights.items())
    graph = parse(
        f"""scores (float[n, {n_inputs}] features, {declared}) => (float[n, {n_outputs}] scores)
        {{ {chr(10).join(steps)} }}""",
        weights,
    )
    if len(shape) == 1:
        return canonical(graph, "scores")
    return _from_images(graph, shape, (n_inputs,), "scores", "scores", pixels)


def export_network(network: Any) -> onnx.ModelProto:
    """A trained Keras network as a graph that takes uint8 images.

    Parameters
    ----------
    network : keras.Model
        From pixels in [0, 1], (n, height, width), to probabilities.
    """
    import tempfile
    import warnings
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, about NumPy's old aliases
        path = Path(folder) / "network.onnx"
        network.export(path, format="onnx", verbose=False, opset_version=OPSET)
        graph = onnx.load(path)
    shape = tuple(network.input_shape[1:])
    return _from_images(graph, shape, shape, graph.graph.output[0].name, "probabilities")


def constant(label: int, shape: tuple[int, ...]) -> onnx.ModelProto:
    """A graph that gives every image the same label."""
    height, width = shape
    graph = parse(f"""constant (uint8[n, {height}, {width}] X) => (int64[n] label)
        {{
            sizes = Shape(X)
            first = Constant<value = int64[1] {{0}}>()
            n = Gather(sizes, first)
            label = ConstantOfShape<value = int64[1] {{{label}}}>(n)
        }}""")
    return canonical(graph, "label")


def parse(
    body: str, weights: Mapping[str, Any] | None = None, opset: int = OPSET
) -> onnx.ModelProto:
    """A graph in ONNX's text form.

    Parameters
    ----------
    body : str
    weights : mapping of str to array, optional
        Inputs of `body` that become constants.
    opset : int
        Version of the operators.
    """
    weights = weights or {}
    graph = onnx.parser.parse_model(
        f'<ir_version: {IR_VERSION}, opset_import: ["" : {opset}]> {body}'
    )
    inputs = [value for value in graph.graph.input if value.name not in weights]
    _replace(graph.graph.input, inputs)
    for name, value in weights.items():
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return graph


def _from_images(
    graph: onnx.ModelProto,
    shape: tuple[int, ...],
    n_features: tuple[int, ...],
    output: str,
    name: str,
    pixels: str = "linear",
) -> onnx.ModelProto:
    """A graph of features (n, *n_features) behind what computes them from uint8 images."""
    build = _edge_features if pixels == "edges" else _pixel_features
    graph.ir_version = IR_VERSION
    merged = onnx.compose.merge_models(
        build(shape, n_features, pixels),
        onnx.compose.add_prefix(graph, "model_"),
        io_map=[("features", f"model_{graph.graph.input[0].name}")],
        outputs=[f"model_{output}"],
    )
    return canonical(merged, name)


def _pixel_features(
    shape: tuple[int, ...], n_features: tuple[int, ...], pixels: str
) -> onnx.ModelProto:
    height, width = shape
    sizes = ", ".join(map(str, n_features))
    return parse(f"""front (uint8[n, {height}, {width}] X) => (float[n, {sizes}] features)
        {{
            numbers = Cast<to = 1>(X)
            white = Constant<value = float {{255.0}}>()
            scaled = {"Identity(numbers)" if pixels == "whole" else "Div(numbers, white)"}
            bright = {"Sqrt" if pixels == "square_root" else "Identity"}(scaled)
            shape = Constant<value = int64[{len(n_features) + 1}] {{0, {sizes}}}>()
            features = Reshape(bright, shape)
        }}""")


def _edge_features(shape: tuple[int, ...], n_features: tuple[int, ...], _: str) -> onnx.ModelProto:
    height, width = shape
    steps, rows = [_block_means("bright", "image", shape, BRIGHTNESS_BLOCK)], ["bright_rows"]
    for name, size, left in (
        ("width", width, (height, width - 1)),
        ("height", height, (height - 1, width)),
    ):
        if size == 1:  # no neighbours
            continue
        steps.append(f"""
            {name}_next = Slice(image, one, {name}_end, {name}_axis)
            {name}_this = Slice(image, zero, minus_one, {name}_axis)
            {name}_change = Sub({name}_next, {name}_this)
            {name}_size = Abs({name}_change)
            {_block_means(name, f"{name}_size", left, EDGE_BLOCK)}""")
        rows.append(f"{name}_rows")
    constants = {
        "zero": [0], "one": [1], "minus_one": [-1], "as_image": [0, 1, height, width],
        "height_axis": [2], "height_end": [height], "width_axis": [3], "width_end": [width],
    }  # fmt: skip
    declared = "".join(f", int64[{len(value)}] {name}" for name, value in constants.items())
    return parse(
        f"""front (uint8[n, {height}, {width}] X{declared}) => (float[n, {n_features[0]}] features)
        {{
            numbers = Cast<to = 1>(X)
            image = Reshape(numbers, as_image)
            {"".join(steps)}
            features = Concat<axis = 1>({", ".join(rows)})
        }}""",
        constants,
    )


def _block_means(name: str, image: str, shape: tuple[int, ...], side: int) -> str:
    below, right = (-size % side for size in shape)
    return f"""
            {name}_means = AveragePool<kernel_shape = [{side}, {side}], strides = [{side}, {side}],
                pads = [0, 0, {below}, {right}], count_include_pad = 1>({image})
            {name}_rows = Flatten<axis = 1>({name}_means)"""


def canonical(graph: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The same graph, changed in place, in an order and under names that its structure decides.

    Exporters number their tensors by a counter of the process, so equal models differ by name.
    """
    body = graph.graph
    nodes, source = _in_order(body), body.input[0].name
    names = {"": "", source: "X" if source == "X" else "answers", body.output[0].name: output}
    for index, node in enumerate(nodes):
        for tensor in (*node.input, *node.output):
            names.setdefault(tensor, f"t{len(names)}")
        node.name, node.doc_string = f"{index}_{node.op_type}", ""
        for tensors in (node.input, node.output):
            _replace(tensors, [names[tensor] for tensor in tensors])
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.name = ""
    order = {name: position for position, name in enumerate(names)}
    weights = [weight for weight in body.initializer if weight.name in order]
    weights.sort(key=lambda weight: order[weight.name])
    for weight in weights:
        weight.name = names[weight.name]
    del body.value_info[:], graph.metadata_props[:]
    _replace(body.node, nodes)
    _replace(body.initializer, weights)
    body.input[0].name, body.output[0].name = names[source], output
    body.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    body.name = f"{names[source]}_to_{output}"
    body.doc_string = graph.doc_string = ""
    versions = sorted({opset.domain: opset.version for opset in graph.opset_import}.items())
    _replace(graph.opset_import, [onnx.helper.make_opsetid(*pair) for pair in versions])
    graph.producer_name, graph.producer_version = "ecoinference", ""
    onnx.checker.check_model(graph)
    return graph


def _replace(repeated: Any, values: Sequence[Any]) -> None:
    """Put other values into a repeated field of a protocol buffer."""
    del repeated[:]
    repeated.extend(values)


def _in_order(body: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Copies of the nodes that the output needs, each after the nodes that it needs itself."""
    producers = {tensor: node for node in body.node for tensor in node.output}
    ordered: list[onnx.NodeProto] = []

    def visit(tensor: str) -> None:
        if tensor not in producers:
            return
        node = producers[tensor]
        for output in node.output:
            del producers[output]
        for needed in node.input:
            visit(needed)
        ordered.append(onnx.NodeProto.FromString(node.SerializeToString()))

    visit(body.output[0].name)
    return ordered
