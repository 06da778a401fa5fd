"""The models of the pool: built, trained and exported as ONNX graphs.

Whatever a model is trained with, it leaves here as one thing: an ONNX graph from ``X``, uint8
images (n, height, width), to ``probabilities``, float32 (n, n_classes). Such a file runs without
the library that trained it, and loading it executes no code.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]

OPSET = 15
IR_VERSION = 8


class Trained(NamedTuple):
    """A trained model: its ONNX graph and its training curve.

    Rows of the curve hold ``epoch``, ``split``, ``accuracy`` and ``loss``.
    """

    graph: onnx.ModelProto
    curve: list[dict[str, Any]]


def train(
    kind: str,
    settings: Mapping[str, Any],
    X: Array,
    y: Array,
    X_validation: Array,
    y_validation: Array,
    seed: int,
    announce: Callable[[str], None],
) -> Trained:
    """Train a model of the given kind.

    The validation split is watched, never learnt from, and nothing is chosen on it here.

    Parameters
    ----------
    kind : {"decision_tree", "logistic_regression", "random_forest", "mlp", "cnn"}
    settings : mapping
        The settings of that kind in params.yaml.
    X, X_validation : arrays of shape (n_samples, height, width), uint8
    y, y_validation : arrays of shape (n_samples,)
    seed : int
        The same seed gives the same graph on the same machine, byte by byte.
    announce : callable
        Told how the training gets on.
    """
    if kind in NETWORKS:
        return _train_network(kind, settings, (X, y), (X_validation, y_validation), seed, announce)
    classifier = CLASSIFIERS[kind](**settings, seed=seed)
    announce(f"fitting {classifier}")
    classifier.fit(_flat(X), y)
    graph = export_classifier(classifier, X.shape[1:], output="probabilities")
    return Trained(graph, _classifier_curve(classifier, (X, y), (X_validation, y_validation)))


def scaled(X: Array) -> Array:
    """Pixels as float32 in [0, 1]: what every model learns from and its graph computes."""
    return X.astype(np.float32) / np.float32(255)


def _flat(X: Array) -> Array:
    return scaled(X).reshape(len(X), -1)


def _decision_tree(max_leaf_nodes: int, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_leaf_nodes=max_leaf_nodes, random_state=seed)


def _logistic_regression(C: float, max_iter: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=max_iter, random_state=seed)


def _random_forest(n_estimators: int, min_samples_leaf: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators, min_samples_leaf=min_samples_leaf, random_state=seed, n_jobs=-1
    )


CLASSIFIERS: dict[str, Callable[..., Any]] = {
    "decision_tree": _decision_tree,
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
}


def _classifier_curve(
    classifier: Any, train: tuple[Array, Array], validation: tuple[Array, Array]
) -> list[dict[str, Any]]:
    from sklearn.metrics import log_loss

    rows = []
    for split, (X, y) in (("train", train), ("validation", validation)):
        probabilities = classifier.predict_proba(_flat(X))
        accuracy = (classifier.classes_[probabilities.argmax(axis=1)] == y).mean()
        loss = log_loss(y, probabilities, labels=classifier.classes_)
        rows.append({"epoch": 1, "split": split, "accuracy": float(accuracy), "loss": float(loss)})
    return rows


def _train_network(
    kind: str,
    settings: Mapping[str, Any],
    train: tuple[Array, Array],
    validation: tuple[Array, Array],
    seed: int,
    announce: Callable[[str], None],
) -> Trained:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        """Shuffled batches of shifted and mirrored images."""

        def __init__(self, X: Array, labels: Array) -> None:
            super().__init__()
            self.X, self.labels = X, labels
            self.random = np.random.default_rng(seed)
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(self.X) // settings["batch_size"])

        def __getitem__(self, batch: int) -> tuple[Array, Array]:
            start = batch * settings["batch_size"]
            picked = self.order[start : start + settings["batch_size"]]
            X = augmented(self.X[picked], settings["max_shift"], settings["mirror"], self.random)
            return scaled(X), self.labels[picked]

        def on_epoch_end(self) -> None:
            self.order = self.random.permutation(len(self.X))

    class Progress(keras.callbacks.Callback):  # type: ignore[misc]
        """One line per epoch, with the time that is left."""

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            self.begin = time.monotonic()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            done, epochs = epoch + 1, settings["epochs"]
            left = (time.monotonic() - self.begin) / done * (epochs - done)
            accuracy, validation = logs["accuracy"], logs["val_accuracy"]
            announce(
                f"epoch {done:2}/{epochs}  accuracy {accuracy:.4f}, "
                f"on validation {validation:.4f}, {left:4.0f} s left"
            )

    keras.utils.set_random_seed(seed)
    n_classes = int(train[1].max()) + 1
    network = NETWORKS[kind](keras.Input(train[0].shape[1:], name="pixels"), n_classes, settings)
    batches = Batches(train[0], np.eye(n_classes, dtype=np.float32)[train[1]])
    steps = len(batches) * settings["epochs"]
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=settings["learning_rate"], warmup_steps=max(1, steps // 10)
    )
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.01),
        keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"]),
        metrics=["accuracy"],
        jit_compile=False,  # XLA trains convolutions on a CPU at half the speed
    )
    announce(f"training {network.count_params():,} parameters")
    labels = np.eye(n_classes, dtype=np.float32)[validation[1]]
    history = network.fit(
        batches,
        epochs=settings["epochs"],
        validation_data=(scaled(validation[0]), labels),
        validation_batch_size=500,
        callbacks=[Progress()],
        verbose=0,
    ).history
    return Trained(_export_network(network), _network_curve(history))


def augmented(X: Array, max_shift: int, mirror: bool, random: np.random.Generator) -> Array:
    """Images shifted by up to `max_shift` pixels each way, and mirrored half of the time.

    Parameters
    ----------
    X : array of shape (n_samples, height, width)
    max_shift : int
        Pixels; what is shifted in is black.
    mirror : bool
        Whether left and right may be swapped.
    random : numpy.random.Generator

    Returns
    -------
    array of the same shape and dtype
    """
    n_samples, height, width = X.shape
    margin = ((0, 0), (max_shift, max_shift), (max_shift, max_shift))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(X, margin), (height, width), (1, 2))
    down, right = random.integers(0, 2 * max_shift + 1, (2, n_samples))
    shifted: Array = windows[np.arange(n_samples), down, right]
    if mirror:
        swapped = random.random(n_samples) < 0.5
        shifted[swapped] = shifted[swapped, :, ::-1]
    return shifted


def _mlp(pixels: Any, n_classes: int, settings: Mapping[str, Any]) -> Any:
    import keras
    from keras import layers

    x = layers.Flatten()(pixels)
    for units in settings["units"]:
        x = layers.Dense(units, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Dropout(settings["dropout"])(x)
    return keras.Model(pixels, layers.Dense(n_classes, activation="softmax")(x))


def _cnn(pixels: Any, n_classes: int, settings: Mapping[str, Any]) -> Any:
    """A small residual network (He et al. 2016, "Deep Residual Learning")."""
    import keras
    from keras import layers

    def convolved(x: Any, filters: int, size: int, stride: int) -> Any:
        x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    first, *deeper = settings["filters"]
    x = layers.Reshape((*pixels.shape[1:], 1))(pixels)
    x = layers.ReLU()(convolved(x, first, 3, stride=2))
    for filters, stride in [(first, 1), *((filters, 2) for filters in deeper)]:
        shortcut = x if stride == 1 else convolved(x, filters, 1, stride)
        y = layers.ReLU()(convolved(x, filters, 3, stride))
        x = layers.ReLU()(layers.Add()([convolved(y, filters, 3, stride=1), shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(n_classes, activation="softmax")(x))


NETWORKS: dict[str, Callable[..., Any]] = {"mlp": _mlp, "cnn": _cnn}


def _network_curve(history: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch + 1,
            "split": split,
            "accuracy": float(history[f"{prefix}accuracy"][epoch]),
            "loss": float(history[f"{prefix}loss"][epoch]),
        }
        for epoch in range(len(history["loss"]))
        for split, prefix in (("train", ""), ("validation", "val_"))
    ]


def export_classifier(classifier: Any, shape: tuple[int, ...], output: str) -> onnx.ModelProto:
    """A fitted scikit-learn classifier as a graph that takes uint8 images.

    Parameters
    ----------
    classifier : estimator
        Fitted on flattened images divided by 255.
    shape : tuple of int
        Height and width of an image.
    output : {"probabilities", "label"}
        What the graph gives.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    n_pixels = int(np.prod(shape))
    graph = to_onnx(
        classifier,
        initial_types=[("pixels", FloatTensorType([None, n_pixels]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": 2},
    )
    return _from_images(graph, shape, f"[n, {n_pixels}]", output, output)


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
    return _canonical(graph, "label")


def _export_network(network: Any) -> onnx.ModelProto:
    import tempfile
    import warnings
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, about NumPy's old aliases
        path = Path(folder) / "network.onnx"
        network.export(path, format="onnx", verbose=False, opset_version=OPSET)
        graph = onnx.load(path)
    shape = tuple(network.input_shape[1:])
    pixels = f"[n, {', '.join(map(str, shape))}]"
    return _from_images(graph, shape, pixels, graph.graph.output[0].name, "probabilities")


def _from_images(
    graph: onnx.ModelProto, shape: tuple[int, ...], pixels: str, output: str, name: str
) -> onnx.ModelProto:
    """Put the way from uint8 images to scaled pixels in front of a graph."""
    height, width = shape
    sizes = [0, *(int(part) for part in pixels.strip("[]").split(",")[1:])]
    front = onnx.parser.parse_model(f"""
        <ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
        front (uint8[n, {height}, {width}] X) => (float{pixels} front_pixels)
        {{
            numbers = Cast<to = 1>(X)
            white = Constant<value = float {{255.0}}>()
            shares = Div(numbers, white)
            shape = Constant<value = int64[{len(sizes)}] {{{", ".join(map(str, sizes))}}}>()
            front_pixels = Reshape(shares, shape)
        }}""")
    graph.ir_version = IR_VERSION
    merged = onnx.compose.merge_models(
        front,
        onnx.compose.add_prefix(graph, "model_"),
        io_map=[("front_pixels", f"model_{graph.graph.input[0].name}")],
        outputs=[f"model_{output}"],
    )
    return _canonical(merged, name)


def _canonical(graph: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The same graph in an order and under names that depend on nothing but its structure.

    Exporters number their tensors by a counter of the process, so equal models differ by name.
    """
    body = graph.graph
    nodes = _in_order(body)
    names = {"": "", "X": "X", body.output[0].name: output}
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
    body.output[0].name = output
    body.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    body.name = f"images_to_{output}"
    body.doc_string = graph.doc_string = ""
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
