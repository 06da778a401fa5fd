"""Models of the pool that Keras trains, on images that are shifted and mirrored."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco import graphs
from eco.classifiers import scaled

Array = NDArray[Any]

#: Processor flags of instructions for bfloat16 (x86-64; Linux also has them for Arm).
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
#: Images of one batch where nothing is learnt.
WATCHED_SIZE = 500


class Network:
    """A model of the pool around a Keras network: say which in `network`.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate : float
        The largest; it rises over a tenth of the steps and falls along a cosine.
    weight_decay : float
        Of AdamW (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization").
    label_smoothing : float
    max_shift : int
        Pixels by which training images are moved at most.
    mirror : bool
        Whether training images are mirrored half of the time.
    precision : {"float32", "bfloat16"}
        Of the products while it learns; the weights are float32 either way. On a processor that
        doesn't multiply bfloat16 it is float32.
    small_epochs : int
        Of the epochs, the first ones, on images of five sevenths the height and width.
    """

    def __init__(
        self,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
        label_smoothing: float,
        max_shift: int,
        mirror: bool,
        precision: str,
        small_epochs: int = 0,
    ) -> None:
        self.epochs, self.batch_size, self.small_epochs = epochs, batch_size, small_epochs
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.label_smoothing = label_smoothing
        self.max_shift, self.mirror = max_shift, mirror
        self.precision = precision

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels in [0, 1] to probabilities, as a keras.Model."""
        raise NotImplementedError

    def fit(
        self,
        X: Array,
        y: Array,
        X_watched: Array,
        y_watched: Array,
        seed: int,
        announce: Callable[[str], None],
        soft: Array | None = None,
    ) -> list[dict[str, Any]]:
        """Learn, and give the training curve, as `eco.pool.Model` asks."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        keras.utils.set_random_seed(seed)
        n_classes = int(y.max()) + 1
        labels, labels_watched = (
            np.eye(n_classes, dtype=np.float32)[part] for part in (y, y_watched)
        )
        # What is learnt, and beside it the labels, by which the curve counts who is right.
        targets = np.hstack([labels if soft is None else soft, labels])
        watched = _batches(X_watched, np.hstack([labels_watched, labels_watched]), WATCHED_SIZE)
        with _computing_in(self.precision) as precision:
            network = self._compiled(X, n_classes)
        announce(f"training {network.count_params():,} parameters in {precision}")
        random, begin = np.random.default_rng(seed), time.monotonic()
        curve: list[dict[str, Any]] = []
        for epoch in range(self.epochs):
            order = random.permutation(len(X))
            batches = _batches(
                self._augmented(X[order], epoch, random), targets[order], self.batch_size
            )
            logs = network.fit(
                batches, initial_epoch=epoch, epochs=epoch + 1, verbose=0, shuffle=False,
                validation_data=watched,
            ).history  # fmt: skip
            curve += _epoch_rows(epoch + 1, logs)
            left = (time.monotonic() - begin) / (epoch + 1) * (self.epochs - epoch - 1)
            announce(
                f"epoch {epoch + 1:2}/{self.epochs}  accuracy {logs['accuracy'][0]:.4f}, "
                f"held out {logs['val_accuracy'][0]:.4f}, {left:4.0f} s left"
            )
        self.fitted = self._of_whole_images(network, X, n_classes)
        self.fitted.compile(loss=self._loss, metrics=[_accuracy()])
        finished = self.fitted.evaluate(watched, verbose=0, return_dict=True)
        curve[-1] |= {name: float(finished[name]) for name in ("accuracy", "loss")}
        return curve

    def graph(self) -> Any:
        """The ONNX graph from images to probabilities."""
        return graphs.export_network(self.fitted)

    def _for_images(self, shape: tuple[int | None, ...], n_classes: int) -> Any:
        import keras

        return self.network(keras.Input(shape, name="pixels"), n_classes)

    def _compiled(self, X: Array, n_classes: int) -> Any:
        import keras

        network = self._for_images((None, None) if self.small_epochs else X.shape[1:], n_classes)
        steps = self.epochs * -(-len(X) // self.batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps, warmup_target=self.learning_rate, warmup_steps=max(1, steps // 10)
        )
        network.compile(
            keras.optimizers.AdamW(schedule, weight_decay=self.weight_decay),
            self._loss,
            metrics=[_accuracy()],
            steps_per_execution=8,  # a perceptron's step is shorter than Keras's way to the next
            jit_compile=False,  # XLA trains convolutions on a CPU at half the speed
        )
        return network

    def _loss(self, targets: Any, p: Any) -> Any:
        import keras

        learnt = targets[:, : p.shape[-1]]
        return keras.losses.categorical_crossentropy(
            learnt, p, label_smoothing=self.label_smoothing
        )

    def _augmented(self, X: Array, epoch: int, random: np.random.Generator) -> Array:
        # A whole epoch is shifted and mirrored at once: batch by batch Keras would wait for it.
        images = augmented(X, self.max_shift, self.mirror, random)
        return _shrunk(images) if epoch < self.small_epochs else images

    def _of_whole_images(self, network: Any, X: Array, n_classes: int) -> Any:
        """The network that was trained, in float32 and for images of one size."""
        whole = self._for_images(X.shape[1:], n_classes)
        whole.set_weights(network.get_weights())
        whole(scaled(X[:1]))  # Keras exports what has been called
        return whole


@contextlib.contextmanager
def _computing_in(precision: str) -> Iterator[str]:
    """Layers made here compute in that precision, or in float32 where bfloat16 would be slow."""
    import cpuinfo
    import keras

    if precision == "bfloat16" and not BFLOAT16 & set(cpuinfo.get_cpu_info().get("flags", [])):
        precision = "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        yield precision
    finally:
        keras.config.set_dtype_policy(before)


def _batches(X: Array, targets: Array, batch_size: int) -> Any:
    """Images and targets in this order, as Keras takes them.

    Keras's own way from arrays lets tf.data tune itself, and each epoch then lasts until that
    tuning wakes up: 0.6, 1.3, 2.6, 5.1, 10.2 or 20.5 seconds, whatever the work.
    """
    import tensorflow as tf

    # Held once, and cut up batch by batch: slices would copy the images one by one.
    images, wanted = tf.constant(X), tf.constant(targets)
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    return (
        tf.data.Dataset.range(len(X))
        .batch(batch_size)
        .map(lambda at: (_scaled(tf.gather(images, at)), tf.gather(wanted, at)))
        .prefetch(2)
        .with_options(untuned)
    )


def _scaled(images: Any) -> Any:
    """As `eco.classifiers.scaled`, in TensorFlow."""
    import tensorflow as tf

    return tf.cast(images, tf.float32) / np.float32(255)


def _accuracy() -> Any:
    import keras

    return keras.metrics.MeanMetricWrapper(_is_right, name="accuracy")


def _is_right(targets: Any, p: Any) -> Any:
    import keras

    return keras.metrics.categorical_accuracy(targets[:, p.shape[-1] :], p)


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


def convolved(x: Any, filters: int, size: int, stride: int = 1) -> Any:
    """A convolution and its batch normalization."""
    from keras import layers

    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return _batch_normalization()()(x)


def folded(pixels: Any) -> Any:
    """Every 2 x 2 pixels as the channels of one; an odd height or width gets a black edge."""
    from keras import layers

    _, height, width = pixels.shape
    rows, columns = -(-height // 2), -(-width // 2)
    if height % 2 or width % 2:
        x = layers.Reshape((height, width, 1))(pixels)
        pixels = layers.ZeroPadding2D(((0, height % 2), (0, width % 2)))(x)
    x = layers.Permute((1, 3, 2, 4))(layers.Reshape((rows, 2, columns, 2))(pixels))
    return layers.Reshape((rows, columns, 4))(x)


@cache
def _batch_normalization() -> Any:
    import tensorflow as tf
    from keras import layers

    class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
        """Keras's own layer, trained by TensorFlow's fused operation."""

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
