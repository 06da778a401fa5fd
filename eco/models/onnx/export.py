"""Fitted classifiers and networks as ONNX graphs, the same bytes for the same model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra
from eco.models.features import Features

with extra("onnx"):
    import onnx

Array = NDArray[Any]

OPSET = 15
IR_VERSION = 8


def export_classifier(classifier: Any, features: Features, output: str) -> onnx.ModelProto:
    """A fitted scikit-learn classifier as a graph that takes samples as they are.

    Parameters
    ----------
    classifier : estimator
        Fitted on rows of features.
    features : Features
        What makes these rows.
    output : {"probabilities", "label"}
        What the graph gives.
    """
    with extra("train"):
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

    graph = to_onnx(
        classifier,
        initial_types=[("features", FloatTensorType([None, features.n_features]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": 2},
    )
    _drop_zero_votes(graph)
    return _behind(features.graph(), graph, output, output)


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


def export_boosting(
    trees: Sequence[tuple[int, Array]], base: Sequence[float], features: Features
) -> onnx.ModelProto:
    """Boosted trees as a graph whose probabilities are the softmax of their sums.

    Parameters
    ----------
    trees : sequence of (int, array)
        The class whose score each adds to, and its nodes as
        `sklearn.ensemble.HistGradientBoostingClassifier` keeps them.
    base : sequence of float
        Score of each class before any tree.
    features : Features
        What makes rows of features from samples.
    """
    sizes = [len(nodes) for _, nodes in trees]
    nodes = np.concatenate([nodes for _, nodes in trees])
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    leaf = nodes["is_leaf"] == 1
    lists: dict[str, Array] = {
        "nodes_treeids": tree_ids, "nodes_nodeids": node_ids,
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ"),
        "nodes_featureids": np.where(leaf, 0, nodes["feature_idx"]),
        "nodes_values": _rounded_down(np.where(leaf, 0, nodes["num_threshold"])),
        "nodes_truenodeids": np.where(leaf, 0, nodes["left"].astype(np.int64)),
        "nodes_falsenodeids": np.where(leaf, 0, nodes["right"].astype(np.int64)),
        "target_treeids": tree_ids[leaf], "target_nodeids": node_ids[leaf],
        "target_ids": np.repeat([label for label, _ in trees], sizes)[leaf],
        "target_weights": nodes["value"][leaf],
    }  # fmt: skip
    ensemble = onnx.helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["scores"], domain="ai.onnx.ml",
        n_targets=len(base), base_values=list(base),
        **{name: values.tolist() for name, values in lists.items()},
    )  # fmt: skip
    # The ensemble's own softmax loses digits where classes are many.
    softmax = onnx.helper.make_node("Softmax", ["scores"], ["probabilities"], axis=-1)
    rows, probabilities = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])
        for name, size in (("features", features.n_features), ("probabilities", len(base)))
    )
    graph = onnx.helper.make_graph([ensemble, softmax], "trees", [rows], [probabilities])
    versions = {"": OPSET, "ai.onnx.ml": 2}
    opsets = [onnx.helper.make_opsetid(*version) for version in versions.items()]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    return _behind(features.graph(), model, "probabilities", "probabilities")


def _rounded_down(thresholds: Array) -> Array:
    """The largest float32 numbers that aren't above: the same float32 numbers are at or below."""
    nearest = thresholds.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > thresholds, lower, nearest)


def export_softmax(coefficients: Array, intercepts: Array, features: Features) -> onnx.ModelProto:
    """A linear model whose probabilities are the softmax of its scores.

    Parameters
    ----------
    coefficients : array of shape (n_classes, n_features)
    intercepts : array of shape (n_classes,)
    features : Features
        What makes rows of features from samples.
    """
    n_classes, n_features = coefficients.shape
    graph = parse(
        f"""linear (float[n, {n_features}] features, float[{n_features}, {n_classes}] W,
            float[{n_classes}] b) => (float[n, {n_classes}] probabilities)
        {{
            scores = Gemm(features, W, b)
            probabilities = Softmax<axis = -1>(scores)
        }}""",
        {"W": coefficients.T.astype(np.float32), "b": intercepts.astype(np.float32)},
    )
    return _behind(features.graph(), graph, "probabilities", "probabilities")


def export_scores(classifier: Any, features: Features | None = None) -> onnx.ModelProto:
    """A fitted multi-label classifier as a graph that gives a score in [0, 1] for each label.

    Parameters
    ----------
    classifier : sklearn.neural_network.MLPClassifier
        Fitted on label indicators, and on rows of features or on probabilities.
    features : Features, optional
        What makes rows of features from samples. Without it the graph reads probabilities.
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
    if features is None:
        return canonical(graph, "scores")
    return _behind(features.graph(), graph, "scores", "scores")


def export_network(network: Any, front: onnx.ModelProto) -> onnx.ModelProto:
    """A trained Keras network behind a graph of what it reads.

    Parameters
    ----------
    network : keras.Model
        To probabilities.
    front : onnx.ModelProto
        From samples to what the network reads, ``features``.
    """
    import tempfile
    import warnings
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, about NumPy's old aliases
        path = Path(folder) / "network.onnx"
        network.export(path, format="onnx", verbose=False, opset_version=OPSET)
        graph = onnx.load(path)
    return _behind(front, graph, graph.graph.output[0].name, "probabilities")


#: What NumPy's types of samples are called in ONNX's text form.
TYPES = {"uint8": "uint8", "float32": "float", "int32": "int32"}


def constant(label: int, shape: tuple[int, ...], dtype: str = "uint8") -> onnx.ModelProto:
    """A graph that gives every sample, of this shape and type, the same label."""
    sizes = ", ".join(map(str, shape))
    graph = parse(f"""constant ({TYPES[dtype]}[n, {sizes}] X) => (int64[n] label)
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


def _behind(
    front: onnx.ModelProto, graph: onnx.ModelProto, output: str, name: str
) -> onnx.ModelProto:
    """A graph that reads the features which another one, in front of it, makes from samples."""
    graph.ir_version = IR_VERSION
    merged = onnx.compose.merge_models(
        front,
        onnx.compose.add_prefix(graph, "model_"),
        io_map=[("features", f"model_{graph.graph.input[0].name}")],
        outputs=[f"model_{output}"],
    )
    return canonical(merged, name)


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
        _drop_denormals(weight)
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


def _drop_denormals(weight: onnx.TensorProto) -> None:
    """Set floats too small for a normal number to 0: some processors multiply them very slowly."""
    if weight.data_type != onnx.TensorProto.FLOAT:
        return
    values = onnx.numpy_helper.to_array(weight)
    denormal = (values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)
    if denormal.any():
        rest = np.where(denormal, np.float32(0), values)
        weight.CopyFrom(onnx.numpy_helper.from_array(rest, weight.name))


def _replace(repeated: Any, values: Sequence[Any]) -> None:
    """Put other values into a repeated field of a protocol buffer."""
    del repeated[:]
    repeated.extend(values)


def _in_order(body: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Copies of the nodes that the output needs, each after the nodes that it needs itself."""
    producers = {tensor: node for node in body.node for tensor in node.output}
    ordered: list[onnx.NodeProto] = []
    # A stack, since a chain of nodes may be longer than Python recurses.
    stack: list[tuple[onnx.NodeProto | None, Iterator[str]]] = [(None, iter([body.output[0].name]))]
    while stack:
        node, needed = stack[-1]
        tensor = next(needed, None)
        if tensor in producers:
            producer = producers[tensor]
            for output in producer.output:
                producers.pop(output, None)
            stack.append((producer, iter(producer.input)))
        elif tensor is None:
            stack.pop()
            if node is not None:
                ordered.append(onnx.NodeProto.FromString(node.SerializeToString()))
    return ordered
