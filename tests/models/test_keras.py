import logging

import numpy as np
import pytest

from eco.models import keras as networks
from eco.models.kinds import mlp
from tests.models.conftest import SETTINGS


class Recorded(mlp.Model):
    """A perceptron that records what it computes in, and what each epoch consists of."""

    def network(self, pixels, n_classes):
        import keras

        record = self.__dict__.setdefault("record", {"dtypes": [], "epochs": []})
        layers = super().network(pixels, n_classes)
        record["dtypes"].append([layer.compute_dtype for layer in layers.layers])

        class Recorder(keras.Model):
            def fit(self, batches, **options):
                images, targets = (np.concatenate(part) for part in zip(*batches, strict=True))
                tuned = batches.options().autotune.enabled
                record["epochs"].append((images, targets, tuned))
                return super().fit(batches, **options)

        return Recorder(pixels, layers.output)


@pytest.fixture(scope="module")
def recorded(digits):
    """What a perceptron computes in, what its epochs consist of, and what it logs."""
    import keras

    model, logged = Recorded(**SETTINGS["mlp"] | {"max_shift": 0}), []
    log, handler = logging.getLogger("eco.models"), logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())
    log.addHandler(handler)
    log.setLevel("INFO")
    policy = keras.config.dtype_policy().name
    model.fit(*digits["train"], *digits["tuning"], 42)
    log.removeHandler(handler)
    assert keras.config.dtype_policy().name == policy, "what is made later computes otherwise"
    return model.record | {"log": logged}


@pytest.mark.parametrize(
    ("precision", "vendor", "flags", "expected"),
    [
        ("bfloat16", "GenuineIntel", ["avx2"], "float32"),
        ("bfloat16", "GenuineIntel", ["avx512_bf16"], "float32"),
        ("bfloat16", "GenuineIntel", ["avx512_bf16", "amx_bf16"], "bfloat16"),
        ("bfloat16", "AuthenticAMD", ["avx2"], "float32"),
        ("bfloat16", "AuthenticAMD", ["avx512_bf16"], "bfloat16"),
        ("bfloat16", None, ["bf16"], "bfloat16"),
        ("float32", "GenuineIntel", ["amx_bf16"], "float32"),
    ],
)
def test_the_precision_is_one_in_which_the_processor_is_fast(precision, vendor, flags, expected):
    processor = {"flags": flags} | ({"vendor_id_raw": vendor} if vendor else {})
    assert networks.supported_precision(precision, processor) == expected


def test_a_processor_that_tells_nothing_trains_in_float32():
    assert networks.supported_precision("bfloat16", {}) == "float32"


@pytest.mark.slow
def test_a_network_trains_in_its_precision_and_is_exported_in_float32(recorded):
    import cpuinfo

    trained, exported = recorded["dtypes"]
    used = networks.supported_precision("bfloat16", cpuinfo.get_cpu_info())
    assert recorded["log"][0].endswith(f"parameters in {used}")
    assert set(trained[1:-1]) == {used}
    assert trained[-1] == "float32"
    assert set(exported) == {"float32"}


@pytest.mark.slow
def test_every_epoch_has_all_images_in_an_order_of_its_own(recorded, digits):
    X, y = digits["train"]
    epochs = recorded["epochs"]
    orders = set()
    for images, targets, _ in epochs:
        labels = targets[:, :10].argmax(axis=1)
        pixels = np.round(images * 255).astype(np.uint8)
        pairs = sorted((x.tobytes(), label) for x, label in zip(pixels, labels, strict=True))
        assert pairs == sorted((x.tobytes(), label) for x, label in zip(X, y, strict=True))
        assert np.array_equal(images, pixels / np.float32(255))
        orders.add(tuple(labels))
    assert len(orders) == len(epochs) > 1


@pytest.mark.slow
def test_batches_are_not_tuned_by_tensorflow(recorded):
    tuned = [tuned for _, _, tuned in recorded["epochs"]]
    assert tuned == [False] * len(tuned), "epochs last until the tuning wakes up"


def test_shifts_move_an_image_and_keep_its_ink_inside_the_margin():
    X = np.zeros((200, 8, 8), np.uint8)
    X[:, 3, 4] = 255
    shifted = networks.augment(X, 2, mirror=False, random=np.random.default_rng(0))
    assert shifted.shape == X.shape
    assert (shifted.sum(axis=(1, 2)) == 255).all()
    rows, columns = np.nonzero(shifted)[1:]
    assert (set(rows), set(columns)) == ({1, 2, 3, 4, 5}, {2, 3, 4, 5, 6})


def test_a_mirror_swaps_left_and_right_half_of_the_time():
    X = np.zeros((1000, 4, 4), np.uint8)
    X[:, 1, 0] = 9
    mirrored = networks.augment(X, 0, mirror=True, random=np.random.default_rng(0))
    assert 400 < (mirrored[:, 1, 3] == 9).sum() < 600
    assert ((mirrored[:, 1, 3] == 9) ^ (mirrored[:, 1, 0] == 9)).all()


def test_colours_of_a_pixel_stay_together_when_images_are_shifted_and_mirrored():
    X = np.zeros((300, 8, 6, 3), np.uint8)
    X[:, 3, 1] = [10, 20, 30]
    moved = networks.augment(X, 1, mirror=True, random=np.random.default_rng(0))
    assert moved.shape == X.shape
    samples, rows, columns, _ = (part.reshape(-1, 3)[:, 0] for part in np.nonzero(moved))
    assert samples.tolist() == list(range(300))
    assert (moved[samples, rows, columns] == [10, 20, 30]).all()
    assert (set(rows), set(columns)) == ({2, 3, 4}, {0, 1, 2, 3, 4, 5})
