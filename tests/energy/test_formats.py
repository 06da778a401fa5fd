"""Formats of one model agree with each other, and are compared at equal batch sizes."""

import subprocess
import sys

import numpy as np
import onnx
import pytest

from eco.energy import formats
from eco.energy.format_comparison import choose_formats, format_workloads
from eco.energy.measurement import Measurement, Measurements
from eco.energy.protocol import measure
from eco.errors import ModelError
from eco.models.features import scale
from tests.conftest import REPOSITORY
from tests.energy.fake_meter import FakeMeter
from tests.networks import learnt_at_its_end

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
    "mlp": {"units": [64, 64], "dropout": 0.1, "epochs": 1, **LEARNING},
    "cnn": {
        "stem_filters": 8,
        "filters": [8, 16],
        "strides": [1, 2],
        "epochs": 8,
        **LEARNING,
    },
}
SEED = 42


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X.reshape(-1, 8, 8) * 15).astype(np.uint8), y.astype(np.uint8)


@pytest.fixture(scope="module")
def available(digits, tmp_path_factory):
    """For each kind its formats, of a model that has learnt the digits."""
    X, y = digits
    available = {}
    for kind, settings in SETTINGS.items():
        make = learnt_at_its_end if kind == "mlp" else formats.stand_in
        model = make(kind, settings, X[:1200], y[:1200], SEED)
        if kind == "cnn":  # as a whole, so that batch normalization has learnt something too
            model.fit(X[:1200], y[:1200], X[:99], y[:99], SEED)
        folder = tmp_path_factory.mktemp(kind)
        available[kind] = formats.available_formats(model, X[:200], threads=1, folder=folder)
    return available


@pytest.mark.slow
def test_each_kind_has_its_formats(available):
    onnx = {formats.ONNX}
    both = {formats.ONNX, formats.ONNX_INT8}
    lite = {formats.LITERT, formats.LITERT_INT8}
    keras = {formats.KERAS_CALL, formats.KERAS_PREDICT, formats.KERAS_FUNCTION}
    assert {kind: set(loads) for kind, loads in available.items()} == {
        "decision_tree": {formats.SKLEARN} | onnx,
        "random_forest": {formats.SKLEARN} | onnx,
        "logistic_regression": {formats.SKLEARN} | both,
        "mlp": keras | both | lite,
        "cnn": keras | both | lite,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_the_formats_of_one_model_agree(kind, available, digits):
    X, y = digits[0][1200:], digits[1][1200:]
    answers = {name: load()(X) for name, load in available[kind].items()}
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_a_sample_has_one_answer_in_batches_of_any_size(kind, available, digits):
    X = digits[0][:300]
    for name, load in available[kind].items():
        run = load()
        whole = run(X)
        # 8-bit sums are exact, yet what stays in floats may add up in another order.
        for size in (1, 7, 300, 2):
            assert np.abs(run(X[:size]) - whole[:size]).max() < 1e-4, (name, size)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random_forest", "cnn"])
def test_each_load_is_a_new_one_with_the_same_answers(kind, available, digits):
    X = digits[0][:5]
    for name, load in available[kind].items():
        one, other = load(), load()
        assert one is not other
        assert np.array_equal(one(X), other(X)), name


@pytest.mark.slow
def test_images_beyond_one_chunk_are_all_predicted(available, digits, monkeypatch):
    monkeypatch.setattr(formats, "CHUNK", 50)
    X = digits[0][:120]
    loads = available["mlp"]
    p = loads[formats.KERAS_PREDICT]()(X)
    assert np.abs(p - loads[formats.ONNX]()(X)).max() < 1e-4


class OwnKind:
    """A kind of a user's own: it has what `eco.models.base.Model` asks for, and nothing else."""

    def __init__(self, graph):
        self.graph = graph


@pytest.mark.slow
def test_a_kind_of_ones_own_has_its_onnx_graph_only(digits, tmp_path):
    X, y = digits
    for kind, expected in (
        ("decision_tree", {formats.ONNX}),
        ("logistic_regression", {formats.ONNX, formats.ONNX_INT8}),
    ):
        known = formats.stand_in(kind, SETTINGS[kind], X[:500], y[:500], SEED)
        model = OwnKind(known.graph)
        assert set(formats.available_formats(model, X[:100], 1, tmp_path / kind)) == expected


@pytest.mark.slow
def test_a_stand_in_is_folded_as_a_trained_network_is(digits, tmp_path):
    X, y = digits
    network = formats.stand_in("cnn", SETTINGS["cnn"], X, y, SEED)
    formats.available_formats(network, X[:100], 1, tmp_path)
    weights = onnx.load(tmp_path / f"{formats.ONNX_INT8}.onnx").graph.initializer
    stem = SETTINGS["cnn"]["stem_filters"]
    assert [4 * stem, 4, 2, 2] in [list(weight.dims) for weight in weights]


@pytest.mark.slow
def test_a_network_keeps_its_initial_weights_and_the_seed_sets_them(digits):
    X, y = digits
    one, other = (formats.stand_in("mlp", SETTINGS["mlp"], X, y, SEED) for _ in range(2))
    assert one.fitted.output_shape == (None, 10)
    assert np.array_equal(one.fitted(scale(X[:9])), other.fitted(scale(X[:9])))


def test_a_workload_runs_the_images_in_turn_at_its_batch_size(digits):
    X, sizes = digits[0][:100], []
    loads = {formats.ONNX: lambda: lambda x: sizes.append(len(x))}
    (workload,) = format_workloads({"a": loads}, X, [40])
    call = workload.load()
    call(), call()
    assert sizes == [40, 40, 40]


def test_native_calls_are_loaded_once_and_other_formats_in_each_round(digits):
    loaded = []

    def loads(name):
        return lambda: loaded.append(name) or len

    names = [formats.KERAS_FUNCTION, formats.ONNX]
    for workload in format_workloads({"a": {n: loads(n) for n in names}}, digits[0], [1]):
        workload.load(), workload.load()
    assert loaded == [formats.KERAS_FUNCTION, formats.ONNX, formats.ONNX]


def test_workloads_of_one_model_and_batch_size_stand_side_by_side(digits):
    loads = dict.fromkeys([formats.KERAS_CALL, formats.KERAS_PREDICT, formats.ONNX], list)
    workloads = format_workloads({"a": loads, "b": {formats.ONNX: list}}, digits[0], [1, 10_000])
    assert [(w.name, w.format, w.batch_size) for w in workloads] == [
        ("a", "model(x)", 1),
        ("a", "model.predict", 1),
        ("a", "ONNX Runtime", 1),
        ("a", "model.predict", 10_000),
        ("a", "ONNX Runtime", 10_000),
        ("b", "ONNX Runtime", 1),
        ("b", "ONNX Runtime", 10_000),
    ]


@pytest.fixture
def measured():
    """Two models in formats of known joules: per sample 9, 2 and 1; 5 and 3."""
    joules = {
        "extra": {formats.KERAS_PREDICT: 9.0, formats.ONNX: 2.0, formats.LITERT_INT8: 1.0},
        "tiny": {formats.SKLEARN: 5.0, formats.ONNX: 3.0},
    }
    meter = FakeMeter()
    workloads = [
        meter.workload(model, size, j * (10 if size == 1 else 1), name)
        for model, of_model in joules.items()
        for size in (1, 256)
        for name, j in of_model.items()
    ]
    return measure(workloads, meter, 0.03, 0.1, 10)


def test_each_format_is_a_share_of_onnx_runtime_at_its_own_batch_size(measured):
    rows = measured.shares(format_name=formats.ONNX)
    by_key = {(row["model"], row["format"], row["batch_size"]): row for row in rows}
    assert len(by_key) == len(measured.rows)
    for size, factor in ((1, 10), (256, 1)):
        for model, name, joules, share in (
            ("extra", formats.KERAS_PREDICT, 9, 4.5),
            ("extra", formats.ONNX, 2, 1),
            ("extra", formats.LITERT_INT8, 1, 0.5),
            ("tiny", formats.SKLEARN, 5, 5 / 3),
        ):
            row = by_key[model, name, size]
            assert row["energy_j"] == pytest.approx(joules * factor)
            assert row["energy_j_low"] <= row["energy_j"] <= row["energy_j_high"]
            assert row["energy_share"] == pytest.approx(share)
            assert "name" not in row
    ends = [
        by_key["extra", formats.LITERT_INT8, 1][f"energy_share{end}"] for end in ("_low", "_high")
    ]
    assert ends == pytest.approx([0.45, 0.55]), "the drift between runs"


def test_the_cheapest_format_is_named_beside_the_one_in_use(measured):
    choices = choose_formats(measured, [], 256)
    extra, tiny = choices["extra"], choices["tiny"]
    assert (extra["cheapest"], extra["in_use"]) == (formats.LITERT_INT8, formats.ONNX)
    assert extra["in_use_over_cheapest"] == pytest.approx(2)
    assert extra["in_use_over_cheapest_low"] == pytest.approx(1.8)
    assert extra["in_use_over_cheapest_high"] == pytest.approx(2.2)
    assert extra["native_over_in_use"] == pytest.approx(4.5)
    assert tiny["cheapest"] == tiny["in_use"] == formats.ONNX
    assert [tiny[f"in_use_over_cheapest{end}"] for end in ("", "_low", "_high")] == [1, 1, 1]


def test_a_quantized_model_is_in_use_in_integers():
    rows = tuple(
        Measurement("wide", 1, j, j, j, (j, j, j), wall_s=1.0, format=name)
        for name, j in ((formats.ONNX, 4.0), (formats.ONNX_INT8, 3.0))
    )
    choice = choose_formats(Measurements({}, rows), ["wide"], 1)["wide"]
    assert choice["in_use"] == choice["cheapest"] == formats.ONNX_INT8
    assert "native_over_in_use" not in choice


@pytest.mark.slow
def test_threads_are_limited_before_tensorflow_computes_and_refused_after():
    code = (
        "import sys; from eco.energy import threads; threads.limit_threads(1)\n"
        "import tensorflow as tf, threadpoolctl\n"
        "assert tf.config.threading.get_intra_op_parallelism_threads() == 1\n"
        "assert {p['num_threads'] for p in threadpoolctl.threadpool_info()} == {1}\n"
        "tf.ones(3) + 1\n"
        "try: threads.limit_threads(2)\n"
        "except threads.MeasurementError as error: print(error)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "process of its own" in output


@pytest.mark.parametrize("X", [np.zeros((9, 4), np.float32), np.zeros((9, 4), np.int32)])
def test_formats_of_tables_and_texts_are_not_compared(X, tmp_path):
    with pytest.raises(ModelError, match=r"for images only; this data set holds t.*make repro"):
        formats.stand_in("decision_tree", SETTINGS["decision_tree"], X, np.arange(9) % 3, SEED)
    with pytest.raises(ModelError, match="for images only"):
        formats.available_formats(None, X, 1, tmp_path)
