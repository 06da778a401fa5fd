"""Models of the pool that Keras trains; images are shifted and mirrored."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import Kind
from eco.errors import extra
from eco.models.features import scale
from eco.models.inputs import Fit, Inputs, Pixels, fit_inputs, pixels

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: Processor flags of units that train faster in bfloat16 (x86-64; Linux also has them for Arm).
BFLOAT16_FLAGS = {"amx_bf16", "bf16"}
#: This one is of units that do so in AMD's processors; in Intel's float32 is faster.
AMD_BFLOAT16_FLAG = "avx512_bf16"
#: Samples per batch of held-out ones.
EVALUATION_BATCH = 500


@dataclass(kw_only=True)
class Network:
    """A model of the pool around the Keras network that `network` returns.

    `eco.models.settings.NetworkSettings` describes the settings.
    """

    #: The kinds of data that it takes, and what it reads of them.
    reads: ClassVar[Mapping[Kind, Fit]] = {"images": pixels}

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    max_shift: int = 0
    mirror: bool = False
    precision: str

    def network(self, inputs: Any, n_classes: int) -> Any:
        """The layers, from what it reads to probabilities, as a keras.Model."""
        raise NotImplementedError

    def prepare(self, X: Array) -> Array:
        """Learn from the samples of train what the network reads, and return it."""
        self.inputs: Inputs = fit_inputs(self.reads, X, type(self).__module__.split(".")[-1])
        return self.inputs(X)

    def untrained(self, inputs: Array, n_classes: int) -> Any:
        """The network with its initial weights, for inputs of this shape."""
        network = self._layers(inputs, n_classes)
        network(numbers(inputs[:1]))  # Keras exports what has been called
        return network

    def fit(
        self,
        X: Array,
        y: Array,
        X_held_out: Array,
        y_held_out: Array,
        seed: int,
        soft: Array | None = None,
    ) -> list[dict[str, Any]]:
        """Train, and return the training curve: see `eco.models.base.Model`."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with extra("train"):
            import cpuinfo
            import keras

        keras.utils.set_random_seed(seed)
        inputs = self.prepare(X)
        one_hot = np.eye(int(y.max()) + 1, dtype=np.float32)
        # What is learnt, and next to it the labels that accuracy is counted by.
        targets = np.hstack([one_hot[y] if soft is None else soft, one_hot[y]])
        held_out = _batches(
            self.inputs(X_held_out), np.tile(one_hot[y_held_out], 2), EVALUATION_BATCH
        )
        precision = supported_precision(self.precision, cpuinfo.get_cpu_info())
        with _computing_in(precision):
            network = self._compiled(inputs, len(one_hot))
        log.info("training %s parameters in %s", f"{network.count_params():,}", precision)
        curve = self._train(network, inputs, targets, held_out, np.random.default_rng(seed))
        self.fitted = self.untrained(inputs, len(one_hot))  # in float32
        self.fitted.set_weights(network.get_weights())
        self.fitted.compile(loss=self._loss, metrics=[accuracy])
        finished = self.fitted.evaluate(held_out, verbose=0, return_dict=True)
        curve[-1] |= {name: float(finished[name]) for name in ("accuracy", "loss")}
        return curve

    def graph(self) -> Any:
        """The ONNX graph from samples to probabilities."""
        from eco.models.onnx.export import export_network

        return export_network(self.fitted, self.inputs.graph())

    def _train(
        self,
        network: Any,
        inputs: Array,
        targets: Array,
        held_out: Any,
        random: np.random.Generator,
    ) -> list[dict[str, Any]]:
        start, curve = time.monotonic(), []
        for epoch in range(self.epochs):
            order = random.permutation(len(inputs))
            batch = inputs[order]
            if isinstance(self.inputs, Pixels):
                # All images at once: batch by batch Keras would wait for it.
                batch = augment(batch, self.max_shift, self.mirror, random)
            logs = network.fit(
                _batches(batch, targets[order], self.batch_size),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                shuffle=False,
                validation_data=held_out,
            ).history
            curve += _curve_rows(epoch + 1, logs)
            left = (time.monotonic() - start) / (epoch + 1) * (self.epochs - epoch - 1)
            log.info(
                "epoch %2d/%d  accuracy %.4f, held out %.4f, %4.0f s left",
                epoch + 1, self.epochs, curve[-2]["accuracy"], curve[-1]["accuracy"], left,
            )  # fmt: skip
        return curve

    def _layers(self, inputs: Array, n_classes: int) -> Any:
        import keras

        dtype = "int32" if inputs.dtype == np.int32 else "float32"
        read = keras.Input(inputs.shape[1:], dtype=dtype, name="inputs")
        return self.network(read, n_classes)

    def _compiled(self, inputs: Array, n_classes: int) -> Any:
        import keras

        network = self._layers(inputs, n_classes)
        steps = self.epochs * -(-len(inputs) // self.batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, steps, warmup_target=self.learning_rate, warmup_steps=max(1, steps // 10)
        )
        network.compile(
            keras.optimizers.AdamW(schedule, weight_decay=self.weight_decay),
            self._loss,
            metrics=[accuracy],
            steps_per_execution=8,  # a step of a perceptron is shorter than Keras' own loop
            jit_compile=False,  # XLA trains convolutions on a CPU at half the speed
        )
        return network

    def _loss(self, targets: Any, p: Any) -> Any:
        import keras

        shares = targets[:, : p.shape[-1]]
        return keras.losses.categorical_crossentropy(
            shares, p, label_smoothing=self.label_smoothing
        )


def supported_precision(precision: str, processor: Mapping[str, Any]) -> str:
    """That precision, or float32 on a processor that doesn't train faster in bfloat16.

    ``processor`` is what `cpuinfo.get_cpu_info` tells of it.
    """
    flags = set(processor.get("flags", []))
    is_amd = processor.get("vendor_id_raw") == "AuthenticAMD"
    has_units = flags & BFLOAT16_FLAGS or (is_amd and AMD_BFLOAT16_FLAG in flags)
    return precision if has_units else "float32"


@contextlib.contextmanager
def _computing_in(precision: str) -> Iterator[None]:
    """Layers made here multiply in that precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def numbers(inputs: Array) -> Array:
    """Inputs as the layers take them: pixels in [0, 1]."""
    return scale(inputs) if inputs.dtype == np.uint8 else inputs


def _batches(inputs: Array, targets: Array, batch_size: int) -> Any:
    """Inputs, pixels scaled, and targets in this order, as a tf.data.Dataset."""
    import tensorflow as tf

    # Held once, and cut up batch by batch: slices would copy the samples one by one.
    samples, labels = tf.constant(inputs), tf.constant(targets)

    def taken(index: Any) -> Any:
        taken = tf.gather(samples, index)
        is_image = inputs.dtype == np.uint8
        return tf.cast(taken, tf.float32) / np.float32(255) if is_image else taken

    options = tf.data.Options()
    options.autotune.enabled = False  # an epoch would last until the tuning wakes up
    return (
        tf.data.Dataset.range(len(inputs))
        .batch(batch_size)
        .map(lambda index: (taken(index), tf.gather(labels, index)))
        .prefetch(2)
        .with_options(options)
    )


def accuracy(targets: Any, p: Any) -> Any:
    """Keras' metric of that name, of the labels next to the targets."""
    import keras

    return keras.metrics.categorical_accuracy(targets[:, p.shape[-1] :], p)


def _curve_rows(epoch: int, logs: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "split": split,
            "accuracy": float(logs[f"{prefix}accuracy"][0]),
            "loss": float(logs[f"{prefix}loss"][0]),
        }
        for split, prefix in (("train", ""), ("held out", "val_"))
    ]


def augment(X: Array, max_shift: int, mirror: bool, random: np.random.Generator) -> Array:
    """Images, (n_samples, height, width, ...), shifted at random and perhaps mirrored.

    By up to `max_shift` pixels each way, black pixels coming in; half of them with left and right
    swapped if `mirror`.
    """
    n_samples, height, width, *channels = X.shape
    margin = ((0, 0), (max_shift, max_shift), (max_shift, max_shift), *((0, 0) for _ in channels))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(X, margin), (height, width), (1, 2))
    down, right = random.integers(0, 2 * max_shift + 1, (2, n_samples))
    shifted: Array = windows[np.arange(n_samples), down, right]
    if channels:  # windows have them first
        shifted = np.moveaxis(shifted, 1, -1)
    if mirror:
        swapped = random.random(n_samples) < 0.5
        shifted[swapped] = shifted[swapped, :, ::-1]
    return shifted


def convolution(x: Any, filters: int, size: int, stride: int = 1) -> Any:
    """A convolution and its batch normalization."""
    from keras import layers

    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return _batch_normalization()()(x)


@cache
def _batch_normalization() -> Any:
    import tensorflow as tf
    from keras import layers

    class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
        """Keras' own layer, trained by TensorFlow's fused operation."""

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
