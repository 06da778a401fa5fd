"""ONNX graphs: the one form that every model and router of the workflow takes.

A model's graph goes from ``X``, uint8 images (n, height, width), to ``probabilities``, float32
(n, n_classes); a router's gives what `eco.router` says. Such a file runs without the library that
trained it, and loading it executes no code.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

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
        Fitted on flattened images.
    shape : tuple of int
        Height and width of an image.
    output : {"probabilities", "label"}
        What the graph gives.
    pixels : {"linear", "square_root", "whole", "edges"}
        Whether it was fitted on pixels divided by 255, on the square roots of those, on pixels
        as they are, or on edges (see `eco.classifiers.flattened`).
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    n_pixels = classifier.n_features_in_
    graph = to_onnx(
        classifier,
        initial_types=[("pixels", FloatTensorType([None, n_pixels]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": 2},
    )
    _leave_out_zero_votes(graph)
    _in_groups(graph)
    return _from_images(graph, shape, f"[n, {n_pixels}]", output, output, pixels)


#: What a tree ensemble's node says of its leaves' votes: one entry for each leaf and class.
VOTES = {"class_treeids": "ints", "class_nodeids": "ints", "class_ids": "ints",
         "class_weights": "floats"}  # fmt: skip


def _leave_out_zero_votes(graph: onnx.ModelProto) -> None:
    """Keep of a tree ensemble's leaves the votes that aren't 0, which change no sum.

    Most leaves are of one class or two, and a runtime adds, and keeps in its caches, every vote
    that is written down. Two classes stay as they are: runtimes tell the binary form by its votes.
    """
    for node in graph.graph.node:
        if node.op_type != "TreeEnsembleClassifier":
            continue
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if len(attributes["classlabels_int64s"].ints) == 2:
            continue
        counted = np.asarray(attributes["class_weights"].floats) != 0
        for name, kind in VOTES.items():
            votes = getattr(attributes[name], kind)
            kept = np.asarray(votes)[counted].tolist()
            del votes[:]
            votes.extend(kept)


#: Trees that take a batch in turn: so many that their nodes stay in the caches of a core from one
#: image to the next, and so few groups that a single image isn't held up.
TREES_TOGETHER = 10


def _in_groups(graph: onnx.ModelProto) -> None:
    """Make groups of a forest's trees, each of which runs through a whole batch before the next.

    A runtime takes image by image through all trees, and a large forest is fetched from the
    memory anew for each. Two classes stay as they are, and so does what isn't a sum of votes.
    """
    body = graph.graph
    for forest in [node for node in body.node if node.op_type == "TreeEnsembleClassifier"]:
        known = {a.name: onnx.helper.get_attribute_value(a) for a in forest.attribute}
        trees = np.asarray(known["nodes_treeids"])
        n_trees, n_classes = trees.max() + 1, len(known["classlabels_int64s"])
        is_sum = known["post_transform"] == b"NONE" and "base_values" not in known
        if n_trees <= TREES_TOGETHER or n_classes == 2 or not is_sum:
            continue
        voters = np.asarray(known["class_treeids"])
        groups = []
        for first in range(0, n_trees, TREES_TOGETHER):
            mine = {
                "nodes_": (trees >= first) & (trees < first + TREES_TOGETHER),
                "class_": (voters >= first) & (voters < first + TREES_TOGETHER),
            }
            parts = {
                name.replace("class_", "target_"): np.asarray(values)[mine[name[:6]]]
                for name, values in known.items()
                if name[:6] in mine
            }
            for name in ("nodes_treeids", "target_treeids"):
                parts[name] = parts[name] - first
            groups.append(
                onnx.helper.make_node(
                    "TreeEnsembleRegressor",
                    [forest.input[0]],
                    [f"{forest.output[1]}_{first}"],
                    domain=forest.domain,
                    n_targets=n_classes,
                    **{name: part.tolist() for name, part in parts.items()},
                )
            )
        total = onnx.helper.make_node(
            "Sum", [made for group in groups for made in group.output], [forest.output[1]]
        )
        at = list(body.node).index(forest)
        nodes = [*body.node[:at], *groups, total, *body.node[at + 1 :]]
        del body.node[:]
        body.node.extend(nodes)


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
    graph = _with_weights(
        f"""linear (float[n, {n_pixels}] given, float[{n_pixels}, {n_classes}] W,
            float[{n_classes}] b) => (float[n, {n_classes}] probabilities)
        {{
            scores = Gemm(given, W, b)
            probabilities = Softmax<axis = -1>(scores)
        }}""",
        {"W": coefficients.T.astype(np.float32), "b": intercepts.astype(np.float32)},
    )
    takes = f"[n, {n_pixels}]"
    return _from_images(graph, shape, takes, "probabilities", "probabilities", pixels)


def export_scores(classifier: Any, shape: tuple[int, ...], pixels: str) -> onnx.ModelProto:
    """A fitted multi-label classifier as a graph that gives a score in [0, 1] for each label.

    Parameters
    ----------
    classifier : sklearn.neural_network.MLPClassifier
        Fitted on label indicators, and on flattened images divided by 255, or on probabilities.
    shape : tuple of int
        Height and width of an image; or the number of classes, where it reads probabilities.
    pixels : {"linear", "square_root"}
        Whether it was fitted on the square roots of the pixels.
    """
    layers = zip(classifier.coefs_, classifier.intercepts_, strict=True)
    weights = [(W.astype(np.float32), b.astype(np.float32)) for W, b in layers]
    n_inputs, n_outputs = weights[0][0].shape[0], weights[-1][0].shape[1]
    named = {
        f"{kind}{i}": part
        for i, pair in enumerate(weights)
        for kind, part in zip("Wb", pair, strict=True)
    }
    declared = ", ".join(f"float{list(part.shape)} {name}" for name, part in named.items())
    steps = ["h0 = Identity(given)"]
    for i in range(len(weights)):
        squash = "Sigmoid" if i == len(weights) - 1 else "Relu"
        steps += [f"z{i + 1} = Gemm(h{i}, W{i}, b{i})", f"h{i + 1} = {squash}(z{i + 1})"]
    steps.append(f"scores = Identity(h{len(weights)})")
    graph = _with_weights(
        f"""scores (float[n, {n_inputs}] given, {declared}) => (float[n, {n_outputs}] scores)
        {{ {chr(10).join(steps)} }}""",
        named,
    )
    if len(shape) == 1:
        return canonical(graph, "scores")
    return _from_images(graph, shape, f"[n, {n_inputs}]", "scores", "scores", pixels)


def with_temperature(graph: onnx.ModelProto, inverse_temperature: float) -> onnx.ModelProto:
    """A model's graph whose probabilities are softmax(logarithm x inverse temperature).

    Where the graph ends in a softmax of scores, these are multiplied instead of the logarithms:
    the same probabilities, and a second softmax would be a fifth of a light network's time.
    """
    n_classes = _n_classes(graph)
    sharper = np.asarray(inverse_temperature, np.float32)
    end = next(node for node in graph.graph.node if graph.graph.output[0].name in node.output)
    if end.op_type == "Softmax":
        sharpened = onnx.ModelProto.FromString(graph.SerializeToString())
        body = sharpened.graph
        at = list(graph.graph.node).index(end)
        multiplied = onnx.helper.make_node("Mul", [end.input[0], "sharper"], ["sharpened"])
        body.initializer.append(onnx.numpy_helper.from_array(sharper, "sharper"))
        body.node[at].input[0] = "sharpened"
        body.node.insert(at, multiplied)
        return canonical(sharpened, "probabilities")
    back = _with_weights(
        f"""temperature (float[n, {n_classes}] given, float tiny, float sharper)
        => (float[n, {n_classes}] calibrated)
        {{
            positive = Add(given, tiny)
            logits = Log(positive)
            sharpened = Mul(logits, sharper)
            calibrated = Softmax<axis = -1>(sharpened)
        }}""",
        {"tiny": np.float32(1e-12), "sharper": sharper},
    )
    return _followed_by(graph, back)


def with_interpolation(graph: onnx.ModelProto, tables: Sequence[tuple[Array, Array]]) -> Any:
    """A model's graph whose probabilities are looked up, class by class, and sum to 1 again.

    Parameters
    ----------
    graph : onnx.ModelProto
    tables : sequence of (x, y)
        For each class the probabilities given, rising, and what stands for them; between two of
        them it is interpolated. Where every class is looked up as 0, all classes are equal.
    """
    n_classes, length = len(tables), max(len(x) for x, _ in tables)
    padded = np.stack([[np.pad(c, (0, length - len(c)), "edge") for c in pair] for pair in tables])
    back = _with_weights(
        f"""lookup (float[n, {n_classes}] given, float[{n_classes}, {length}] x,
            float[{n_classes * length}] flat_x, float[{n_classes * length}] flat_y,
            int64[{n_classes}] start, int64[1] knots, int64[1] classes,
            int64 none, int64 one, int64 last,
            float tiny, float zero, float full, float even)
        => (float[n, {n_classes}] calibrated)
        {{
            wide = Unsqueeze(given, knots)
            reached = GreaterOrEqual(wide, x)
            reached_number = Cast<to = 7>(reached)
            count = ReduceSum<keepdims = 0>(reached_number, knots)
            before = Sub(count, one)
            low = Max(before, none)
            high = Min(count, last)
            low_at = Add(low, start)
            high_at = Add(high, start)
            x_low = Gather(flat_x, low_at)
            x_high = Gather(flat_x, high_at)
            y_low = Gather(flat_y, low_at)
            y_high = Gather(flat_y, high_at)
            span = Sub(x_high, x_low)
            positive_span = Max(span, tiny)
            way = Sub(given, x_low)
            share = Div(way, positive_span)
            inside = Clip(share, zero, full)
            rise = Sub(y_high, y_low)
            risen = Mul(rise, inside)
            found = Add(y_low, risen)
            total = ReduceSum<keepdims = 1>(found, classes)
            is_zero = LessOrEqual(total, zero)
            positive_total = Max(total, tiny)
            shares = Div(found, positive_total)
            calibrated = Where(is_zero, even, shares)
        }}""",
        {
            "x": padded[:, 0].astype(np.float32),
            "flat_x": padded[:, 0].astype(np.float32).ravel(),
            "flat_y": padded[:, 1].astype(np.float32).ravel(),
            "start": np.arange(n_classes) * length,
            "knots": np.array([2]),
            "classes": np.array([1]),
            "none": np.array(0),
            "one": np.array(1),
            "last": np.array(length - 1),
            "tiny": np.float32(1e-12),
            "zero": np.float32(0),
            "full": np.float32(1),
            "even": np.float32(1 / n_classes),
        },
    )
    return _followed_by(graph, back)


def _n_classes(graph: onnx.ModelProto) -> int:
    return int(graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def _with_weights(body: str, weights: Mapping[str, Any]) -> onnx.ModelProto:
    """A graph in ONNX's text form, some of whose inputs are given here once and for all."""
    graph = onnx.parser.parse_model(
        f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]> {body}'
    )
    inputs = [given for given in graph.graph.input if given.name not in weights]
    del graph.graph.input[:]
    graph.graph.input.extend(inputs)
    for name, value in weights.items():
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return graph


def _followed_by(graph: onnx.ModelProto, back: onnx.ModelProto) -> onnx.ModelProto:
    """A model's graph with another behind its probabilities."""
    back = onnx.compose.add_prefix(back, "back_")
    merged = onnx.compose.merge_models(
        graph,
        back,
        io_map=[(graph.graph.output[0].name, back.graph.input[0].name)],
    )
    return canonical(merged, "probabilities")


def constant(label: int, shape: tuple[int, ...]) -> onnx.ModelProto:
    """A graph that gives every image the same label."""
    height, width = shape
    graph = onnx.parser.parse_model(f"""
        <ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
        constant (uint8[n, {height}, {width}] X) => (int64[n] label)
        {{
            sizes = Shape(X)
            first = Constant<value = int64[1] {{0}}>()
            n = Gather(sizes, first)
            label = ConstantOfShape<value = int64[1] {{{label}}}>(n)
        }}""")
    return canonical(graph, "label")


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
    takes = f"[n, {', '.join(map(str, shape))}]"
    return _from_images(graph, shape, takes, graph.graph.output[0].name, "probabilities")


def _from_images(
    graph: onnx.ModelProto,
    shape: tuple[int, ...],
    takes: str,
    output: str,
    name: str,
    pixels: str = "linear",
) -> onnx.ModelProto:
    """Put the way from uint8 images to rows of pixels in front of a graph."""
    front = _edges(shape, takes) if pixels == "edges" else _pixels(shape, takes, pixels)
    graph.ir_version = IR_VERSION
    merged = onnx.compose.merge_models(
        front,
        onnx.compose.add_prefix(graph, "model_"),
        io_map=[("front_pixels", f"model_{graph.graph.input[0].name}")],
        outputs=[f"model_{output}"],
    )
    return canonical(merged, name)


def _pixels(shape: tuple[int, ...], takes: str, pixels: str) -> onnx.ModelProto:
    height, width = shape
    sizes = [0, *(int(part) for part in takes.strip("[]").split(",")[1:])]
    return onnx.parser.parse_model(f"""
        <ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
        front (uint8[n, {height}, {width}] X) => (float{takes} front_pixels)
        {{
            numbers = Cast<to = 1>(X)
            white = Constant<value = float {{255.0}}>()
            shares = {"Identity(numbers)" if pixels == "whole" else "Div(numbers, white)"}
            bright = {"Sqrt" if pixels == "square_root" else "Identity"}(shares)
            shape = Constant<value = int64[{len(sizes)}] {{{", ".join(map(str, sizes))}}}>()
            front_pixels = Reshape(bright, shape)
        }}""")


#: Sides of the blocks of pixels whose brightness, and whose edges, are summed up.
BRIGHT_BLOCK, EDGE_BLOCK = 2, 4


def _edges(shape: tuple[int, ...], takes: str) -> onnx.ModelProto:
    """From images to what `eco.classifiers.flattened` calls edges."""
    height, width = shape
    steps, found = [_blocks("bright", "image", shape, BRIGHT_BLOCK)], ["bright_rows"]
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
            {name}_much = Abs({name}_change)
            {_blocks(name, f"{name}_much", left, EDGE_BLOCK)}""")
        found.append(f"{name}_rows")
    constants = {
        "zero": [0], "one": [1], "minus_one": [-1], "as_image": [0, 1, height, width],
        "height_axis": [2], "height_end": [height], "width_axis": [3], "width_end": [width],
    }  # fmt: skip
    declared = "".join(f", int64[{len(value)}] {name}" for name, value in constants.items())
    return _with_weights(
        f"""front (uint8[n, {height}, {width}] X{declared}) => (float{takes} front_pixels)
        {{
            numbers = Cast<to = 1>(X)
            image = Reshape(numbers, as_image)
            {"".join(steps)}
            front_pixels = Concat<axis = 1>({", ".join(found)})
        }}""",
        {name: np.array(value) for name, value in constants.items()},
    )


def _blocks(name: str, image: str, shape: tuple[int, ...], side: int) -> str:
    below, right = (-size % side for size in shape)
    return f"""
            {name}_means = AveragePool<kernel_shape = [{side}, {side}], strides = [{side}, {side}],
                pads = [0, 0, {below}, {right}], count_include_pad = 1>({image})
            {name}_rows = Flatten<axis = 1>({name}_means)"""


def canonical(graph: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The same graph in an order and under names that depend on nothing but its structure.

    Exporters number their tensors by a counter of the process, so equal models differ by name.
    """
    body = graph.graph
    nodes = _in_order(body)
    given = body.input[0].name
    names = {"": "", given: "X" if given == "X" else "answers", body.output[0].name: output}
    for index, node in enumerate(nodes):
        for tensor in (*node.input, *node.output):
            names.setdefault(tensor, f"t{len(names)}")
        node.name, node.doc_string = f"{index}_{node.op_type}", ""
        for tensors in (node.input, node.output):
            renamed = [names[tensor] for tensor in tensors]
            del tensors[:]
            tensors.extend(renamed)
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.name = ""
    weights = sorted(
        (weight for weight in body.initializer if weight.name in names),
        key=lambda weight: list(names).index(weight.name),
    )
    for weight in weights:
        weight.name = names[weight.name]
    del body.node[:], body.initializer[:], body.value_info[:], graph.metadata_props[:]
    body.node.extend(nodes)
    body.initializer.extend(weights)
    body.input[0].name = names[given]
    body.output[0].name = output
    body.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    body.name = f"{names[given]}_to_{output}"
    body.doc_string = graph.doc_string = ""
    versions = {imported.domain: imported.version for imported in graph.opset_import}
    del graph.opset_import[:]
    graph.opset_import.extend(onnx.helper.make_opsetid(*pair) for pair in sorted(versions.items()))
    graph.producer_name, graph.producer_version = "ecoinference", ""
    onnx.checker.check_model(graph)
    return graph


def _in_order(body: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the output needs, each after the nodes that it needs itself."""
    producers = {tensor: node for node in body.node for tensor in node.output}
    ordered: list[onnx.NodeProto] = []

    def visit(tensor: str) -> None:
        if tensor not in producers:
            return
        node = producers[tensor]
        for made in node.output:
            del producers[made]
        for needed in node.input:
            visit(needed)
        ordered.append(onnx.NodeProto.FromString(node.SerializeToString()))

    visit(body.output[0].name)
    return ordered
