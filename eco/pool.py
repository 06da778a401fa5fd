"""The models of the pool: built and trained, each by the library that suits it."""

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco import graphs

Array = NDArray[Any]


class Trained(NamedTuple):
    """A trained model: its ONNX graph and its training curve.

    Rows of the curve hold ``epoch``, ``split``, ``accuracy`` and ``loss``.
    """

    graph: Any
    curve: list[dict[str, Any]]


def train(
    kind: str,
    settings: Mapping[str, Any],
    X: Array,
    y: Array,
    X_watched: Array,
    y_watched: Array,
    seed: int,
    announce: Callable[[str], None],
) -> Trained:
    """Train a model of the given kind.

    The watched samples are never learnt from, and nothing is chosen on them here.

    Parameters
    ----------
    kind : one of `CLASSIFIERS` or `NETWORKS`
    settings : mapping
        The settings of that kind in params.yaml.
    X, X_watched : arrays of shape (n_samples, height, width), uint8
    y, y_watched : arrays of shape (n_samples,)
    seed : int
        The same seed gives the same graph on the same machine, byte by byte.
    announce : callable
        Told how the training gets on.
    """
    if kind in NETWORKS:
        return _train_network(kind, settings, (X, y), (X_watched, y_watched), seed, announce)
    settings = dict(settings)
    pixels = settings.pop("pixels", "linear")
    classifier = CLASSIFIERS[kind](**settings, seed=seed)
    announce(f"fitting {classifier}")
    flat, flat_watched = (flattened(part, pixels) for part in (X, X_watched))
    classifier.fit(flat, y)
    graph = graphs.export_classifier(classifier, X.shape[1:], "probabilities", pixels)
    return Trained(graph, _classifier_curve(classifier, (flat, y), (flat_watched, y_watched)))


def scaled(X: Array) -> Array:
    """Pixels as float32 in [0, 1]: what every model learns from and its graph computes."""
    return X.astype(np.float32) / np.float32(255)


def flattened(X: Array, pixels: str) -> Array:
    """Images as rows of scaled pixels, or of their square roots, which brings out dark ones."""
    rows = scaled(X).reshape(len(X), -1)
    return np.sqrt(rows) if pixels == "square_root" else rows


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
    classifier: Any, train: tuple[Array, Array], watched: tuple[Array, Array]
) -> list[dict[str, Any]]:
    from sklearn.metrics import log_loss

    rows = []
    for split, (X, y) in (("train", train), ("held out", watched)):
        probabilities = classifier.predict_proba(X)
        accuracy = (classifier.classes_[probabilities.argmax(axis=1)] == y).mean()
        loss = log_loss(y, probabilities, labels=classifier.classes_)
        rows.append({"epoch": 1, "split": split, "accuracy": float(accuracy), "loss": float(loss)})
    return rows


def _train_network(
    kind: str,
    settings: Mapping[str, Any],
    train: tuple[Array, Array],
    watched: tuple[Array, Array],
    seed: int,
    announce: Callable[[str], None],
) -> Trained:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras

    keras.utils.set_random_seed(seed)
    X, y = train
    n_classes = int(y.max()) + 1
    labels, labels_watched = (
        np.eye(n_classes, dtype=np.float32)[part[1]] for part in (train, watched)
    )
    epochs, batch_size = settings["epochs"], settings["batch_size"]
    small_epochs = settings.get("small_epochs", 0)

    def network_for(shape: tuple[int | None, ...]) -> Any:
        return NETWORKS[kind](keras.Input(shape, name="pixels"), n_classes, settings)

    network = network_for((None, None) if small_epochs else X.shape[1:])
    steps = epochs * -(-len(X) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=settings["learning_rate"], warmup_steps=max(1, steps // 10)
    )
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=settings["weight_decay"]),
        keras.losses.CategoricalCrossentropy(label_smoothing=settings["label_smoothing"]),
        metrics=["accuracy"],
        jit_compile=False,  # XLA trains convolutions on a CPU at half the speed
    )
    announce(f"training {network.count_params():,} parameters")
    random, begin, curve = np.random.default_rng(seed), time.monotonic(), []
    for epoch in range(epochs):
        # A whole epoch is shifted and mirrored at once: batch by batch Keras would wait for it.
        shifted = augmented(X, settings["max_shift"], settings["mirror"], random)
        if epoch < small_epochs:
            shifted = _shrunk(shifted)
        logs = network.fit(
            scaled(shifted), labels, batch_size, initial_epoch=epoch, epochs=epoch + 1, verbose=0,
            validation_data=(scaled(watched[0]), labels_watched), validation_batch_size=500,
        ).history  # fmt: skip
        curve += _epoch_rows(epoch + 1, logs)
        left = (time.monotonic() - begin) / (epoch + 1) * (epochs - epoch - 1)
        announce(
            f"epoch {epoch + 1:2}/{epochs}  accuracy {logs['accuracy'][0]:.4f}, "
            f"held out {logs['val_accuracy'][0]:.4f}, {left:4.0f} s left"
        )
    if small_epochs:
        of_any_size, network = network, network_for(X.shape[1:])
        network.set_weights(of_any_size.get_weights())
        network(scaled(X[:1]))  # Keras exports what has been called
    return Trained(graphs.export_network(network), curve)


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


def _shrunk(X: Array) -> Array:
    """Images of five sevenths the height and width: half the work for a convolutional network."""
    import tensorflow as tf

    size = [-(-5 * length // 7) for length in X.shape[1:]]
    parts = np.array_split(X, -(-len(X) // 4000))
    shrunk = [tf.image.resize(part[..., None], size, "area").numpy()[..., 0] for part in parts]
    return np.concatenate(shrunk)


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

    x = keras.ops.expand_dims(pixels, axis=-1)
    x = layers.MaxPooling2D(2)(layers.ReLU()(_convolved(x, settings["filters"][0], 3)))
    for stage, filters in enumerate(settings["filters"]):
        stride = 2 if stage else 1
        shortcut = _convolved(x, filters, 1, stride) if stage else x
        y = layers.ReLU()(_convolved(x, filters, 3, stride))
        x = layers.ReLU()(layers.Add()([_convolved(y, filters, 3), shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(n_classes, activation="softmax")(x))


def _separable_cnn(pixels: Any, n_classes: int, settings: Mapping[str, Any]) -> Any:
    """Depthwise separable convolutions with shortcuts (Sandler et al. 2018, "MobileNetV2")."""
    import keras
    from keras import layers

    first, *deeper = settings["filters"]
    # A stride costs half of what the residual network's pooling does, in a network this light.
    x = layers.ReLU()(_convolved(keras.ops.expand_dims(pixels, axis=-1), first, 3, stride=2))
    for filters in deeper:
        for block in range(settings["blocks"]):
            y = layers.DepthwiseConv2D(
                3, strides=1 if block else 2, padding="same", use_bias=False
            )(x)
            y = _convolved(y, filters, 1)
            x = layers.ReLU()(layers.Add()([x, y]) if block else y)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, layers.Dense(n_classes, activation="softmax")(x))


def _convolved(x: Any, filters: int, size: int, stride: int = 1) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return _batch_normalization()()(x)


@cache
def _batch_normalization() -> Any:
    import tensorflow as tf
    from keras import layers

    class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
        """Keras's own layer, trained by TensorFlow's fused operation: a third less time a step."""

        def __init__(self) -> None:
            super().__init__(momentum=0.9)

        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not training:
                return super().call(inputs, training=False, mask=mask)
            y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=self.gamma, offset=self.beta, mean=[], variance=[],
                epsilon=self.epsilon, is_training=True,
            )  # fmt: skip
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
            return y

    return FusedBatchNormalization


NETWORKS: dict[str, Callable[..., Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "separable_cnn": _separable_cnn,
}


def _epoch_rows(epoch: int, logs: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "split": split,
            "accuracy": float(logs[f"{prefix}accuracy"][0]),
            "loss": float(logs[f"{prefix}loss"][0]),
        }
        for split, prefix in (("train", ""), ("held out", "val_"))
    ]
