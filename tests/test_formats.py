"""Formats of one model agree with each other, and are compared at equal batch sizes."""

import subprocess
import sys

import numpy as np
import pytest

from eco import energy, formats
from eco.classifiers import scaled
from eco.energy import measure
from stages.compare_formats import choice, compared, workloads
from tests.conftest import REPOSITORY
from tests.test_energy import FakeMeter

LEARNING = {
    "batch_size": 32,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "max_shift": 0,
    "mirror": False,
    "precision": "float32",
}
SETTINGS = {
    "decision_tree": {"max_leaf_nodes": 40},
    "random_forest": {
        "n_estimators": 5,
        "min_samples_leaf": 2,
        "max_features": 0.1,
        "bootstrap": True,
        "pixels": "edges",
    },
    "logistic_regression": {"C": 1.0, "max_iter": 300, "pixels": "square_root"},
    "mlp": {"units": [32, 16], "dropout": 0.1, "epochs": 8, **LEARNING},
    "strided_cnn": {"filters": [8, 16], "strides": [1, 2], "epochs": 8, **LEARNING},
    "cnn": {
        "stem": "folded",
        "stem_filters": 8,
        "filters": [8, 16],
        "strides": [1, 2],
        "epochs": 8,
        **LEARNING,
    },
}
NETWORKS = ("mlp", "strided_cnn", "cnn")
SEED = 42


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X.reshape(-1, 8, 8) * 15).astype(np.uint8), y.astype(np.uint8)


@pytest.fixture(scope="module")
def offered(digits, tmp_path_factory):
    """For each kind its formats, of a model that has learnt to tell the digits apart."""
    X, y = digits
    found = {}
    for kind, settings in SETTINGS.items():
        model = formats.to_measure(kind, settings, X[:1200], y[:1200], SEED, print)
        if kind in NETWORKS:
            model.fit(X[:1200], y[:1200], X[:99], y[:99], SEED, print)
        folder = tmp_path_factory.mktemp(kind)
        found[kind] = formats.offered(model, X[:200], threads=1, folder=folder)
    return found


def test_each_kind_has_its_formats(offered):
    onnx = {formats.ONNX}
    both = {formats.ONNX, formats.ONNX_INT8}
    lite = {formats.LITERT, formats.LITERT_INT8}
    keras = {formats.KERAS_CALL, formats.KERAS_PREDICT, formats.KERAS_FUNCTION}
    assert {kind: set(loads) for kind, loads in offered.items()} == {
        "decision_tree": {formats.SKLEARN} | onnx,
        "random_forest": {formats.SKLEARN} | onnx,
        "logistic_regression": {formats.SKLEARN} | both,
        "mlp": keras | both | lite,
        "strided_cnn": keras | both | lite,
        "cnn": keras | both | lite,
    }


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_formats_of_one_model_agree(kind, offered, digits):
    X, y = digits[0][1200:], digits[1][1200:]
    answers = {name: load()(X) for name, load in offered[kind].items()}
    reference = answers[formats.ONNX]
    accuracy = (reference.argmax(axis=1) == y).mean()
    assert accuracy > 0.65
    for name, p in answers.items():
        assert p.shape == (len(X), 10), name
        assert np.abs(p.sum(axis=1) - 1).max() < 1e-3, name
        agreement = (p.argmax(axis=1) == reference.argmax(axis=1)).mean()
        if "int8" in name:
            assert agreement > 0.95, name
            assert np.abs(p - reference).mean() < 0.02, name
            assert len(np.unique(p.max(axis=1).round(4))) > 256, "steps of 1/256"
        elif kind in ("decision_tree", "random_forest"):
            # Pixels next to a threshold fall on its other side in another float type.
            assert agreement > 0.99, name
        else:
            assert np.abs(p - reference).max() < 1e-4, name


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_sample_has_one_answer_in_batches_of_any_size(kind, offered, digits):
    X = digits[0][:300]
    for name, load in offered[kind].items():
        run = load()
        whole = run(X)
        # 8-bit sums are exact, yet what stays in floats may add up in another order.
        for size in (1, 7, 300, 2):
            assert np.abs(run(X[:size]) - whole[:size]).max() < 1e-4, (name, size)


@pytest.mark.parametrize("kind", ["random_forest", "cnn"])
def test_each_load_is_a_new_one_with_the_same_answers(kind, offered, digits):
    X = digits[0][:5]
    for name, load in offered[kind].items():
        one, other = load(), load()
        assert one is not other
        assert np.array_equal(one(X), other(X)), name


def test_images_beyond_one_chunk_are_all_predicted(offered, digits, monkeypatch):
    monkeypatch.setattr(formats, "CHUNK", 50)
    X = digits[0][:120]
    loads = offered["mlp"]
    p = loads[formats.KERAS_PREDICT]()(X)
    assert np.abs(p - loads[formats.ONNX]()(X)).max() < 1e-4


class OwnKind:
    """A kind of a user's own: it offers what `eco.pool.Model` asks, and nothing else."""

    def __init__(self, graph):
        self.graph = graph


def test_a_kind_of_ones_own_has_its_onnx_graph_only(digits, tmp_path):
    X, y = digits
    for kind, expected in (
        ("decision_tree", {formats.ONNX}),
        ("logistic_regression", {formats.ONNX, formats.ONNX_INT8}),
    ):
        known = formats.to_measure(kind, SETTINGS[kind], X[:500], y[:500], SEED, print)
        model = OwnKind(known.graph)
        assert set(formats.offered(model, X[:100], 1, tmp_path / kind)) == expected


def test_a_network_keeps_its_initial_weights_and_the_seed_gives_them(digits):
    X, y = digits
    told = []
    one, other = (
        formats.to_measure("mlp", SETTINGS["mlp"], X, y, SEED, told.append) for _ in range(2)
    )
    assert told == []
    assert one.fitted.output_shape == (None, 10)
    assert np.array_equal(one.fitted(scaled(X[:9])), other.fitted(scaled(X[:9])))


def test_a_workload_runs_the_images_in_turn_at_its_batch_size(digits):
    X, sizes = digits[0][:100], []
    (found,) = workloads({"a": {formats.ONNX: lambda: lambda x: sizes.append(len(x))}}, X, [40])
    call = found.load()
    call(), call()
    assert sizes == [40, 40, 40]


def test_workloads_of_one_model_and_batch_size_stand_side_by_side(digits):
    loads = dict.fromkeys([formats.KERAS_CALL, formats.KERAS_PREDICT, formats.ONNX], list)
    found = workloads({"a": loads, "b": {formats.ONNX: list}}, digits[0], [1, 10_000])
    assert [(w.name, w.batch_size) for w in found] == [
        ("a, model(x)", 1),
        ("a, model.predict", 1),
        ("a, ONNX Runtime", 1),
        ("a, model.predict", 10_000),
        ("a, ONNX Runtime", 10_000),
        ("b, ONNX Runtime", 1),
        ("b, ONNX Runtime", 10_000),
    ]


@pytest.fixture
def measured(monkeypatch):
    """Two models in formats of known joules: per sample 9, 2 and 1; 5 and 3."""
    monkeypatch.setattr(energy, "_repeats", lambda *_: 10)
    joules = {
        "extra": {formats.KERAS_PREDICT: 9.0, formats.ONNX: 2.0, formats.LITERT_INT8: 1.0},
        "tiny": {formats.SKLEARN: 5.0, formats.ONNX: 3.0},
    }
    meter = FakeMeter()
    measuring = [
        meter.workload(f"{model}, {name}", size, j * (10 if size == 1 else 1))
        for model, of_model in joules.items()
        for size in (1, 256)
        for name, j in of_model.items()
    ]
    return measure(measuring, meter, 0.03, 0.05, 10, lambda _: None)["measurements"]


def test_each_format_is_a_share_of_onnx_runtime_at_its_own_batch_size(measured):
    rows = {(r["model"], r["format"], r["batch_size"]): r for r in compared(measured, 0.0)}
    assert len(rows) == len(measured)
    for size, scale in ((1, 10), (256, 1)):
        for model, name, joules, share in (
            ("extra", formats.KERAS_PREDICT, 9, 4.5),
            ("extra", formats.ONNX, 2, 1),
            ("extra", formats.LITERT_INT8, 1, 0.5),
            ("tiny", formats.SKLEARN, 5, 5 / 3),
        ):
            row = rows[model, name, size]
            assert row["energy_j"] == pytest.approx(joules * scale)
            assert row["energy_j_low"] <= row["energy_j"] <= row["energy_j_high"]
            assert row["energy_share"] == pytest.approx(share)
            assert "name" not in row


def test_the_cheapest_format_is_named_beside_the_one_in_use(measured):
    found = choice(measured, [], 256, 0.0)
    assert found["extra"]["cheapest"] == formats.LITERT_INT8
    assert found["extra"]["in_use"] == formats.ONNX
    for end in ("", "_low", "_high"):
        assert found["extra"][f"in_use_over_cheapest{end}"] == pytest.approx(2)
    assert found["extra"]["native_over_in_use"] == pytest.approx(4.5)
    assert found["tiny"]["cheapest"] == found["tiny"]["in_use"] == formats.ONNX
    assert found["tiny"]["in_use_over_cheapest"] == pytest.approx(1)


def test_the_drift_between_runs_is_in_the_intervals(measured):
    (row,) = (
        r for r in compared(measured, 0.1)
        if (r["model"], r["format"], r["batch_size"]) == ("extra", formats.LITERT_INT8, 1)
    )  # fmt: skip
    ends = [row[f"energy_share{end}"] for end in ("_low", "_high")]
    assert ends == pytest.approx([0.45, 0.55])
    found = choice(measured, [], 256, 0.1)["extra"]
    assert found["in_use_over_cheapest_high"] == pytest.approx(2.2)


def test_a_quantized_model_is_in_use_in_integers():
    row = {"batch_size": 1, "energy_j_low": 1, "energy_j_high": 1, "wall_s": 1, "flags": ""}
    rows = [
        row | {"name": f"wide, {name}", "energy_j": j, "readings_j": [j] * 3}
        for name, j in ((formats.ONNX, 4.0), (formats.ONNX_INT8, 3.0))
    ]
    found = choice(rows, ["wide"], 1, 0.0)["wide"]
    assert found["in_use"] == found["cheapest"] == formats.ONNX_INT8
    assert "native_over_in_use" not in found


def test_threads_are_held_before_tensorflow_computes_and_refused_after():
    code = (
        "import sys; from eco import formats; formats.hold_threads(1)\n"
        "import tensorflow as tf, threadpoolctl\n"
        "assert tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
        "assert {p['num_threads'] for p in threadpoolctl.threadpool_info()} == {1}\n"
        "tf.ones(3) + 1\n"
        "try: formats.hold_threads(2)\n"
        "except formats.MeasurementError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "dvc repro -f -s compare_formats" in said
