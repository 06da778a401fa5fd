import numpy as np
import onnx
import pytest
from mapie.metrics.calibration import expected_calibration_error

from eco import calibration, graphs
from eco.inference import Session

N_CLASSES = 4


@pytest.fixture(scope="module")
def answers():
    """Probabilities twice as sure as they should be, and the labels drawn from the honest ones."""
    random = np.random.default_rng(0)
    logits = 2 * random.standard_normal((6000, N_CLASSES))
    honest = softmax(logits)
    y = np.array([random.choice(N_CLASSES, p=p) for p in honest])
    return softmax(2 * logits).astype(np.float32), honest, y


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture
def model(tmp_path):
    """A model whose probabilities are its input, behind the form of any other model's graph."""
    graph = onnx.parser.parse_model(f"""
        <ir_version: {graphs.IR_VERSION}, opset_import: ["" : {graphs.OPSET}]>
        same (float[n, {N_CLASSES}] answers) => (float[n, {N_CLASSES}] same)
        {{ same = Identity(answers) }}""")

    def run(change, p):
        path = tmp_path / "model.onnx"
        path.write_bytes(change(graph).SerializeToString())
        return Session(path, threads=1)(p)

    return run


def test_the_factor_undoes_what_was_done(answers):
    overconfident, _, y = answers
    assert calibration.inverse_temperature(overconfident, y) == pytest.approx(0.5, abs=0.03)


def test_a_graph_with_temperature_gives_the_honest_probabilities(answers, model):
    overconfident, honest, _ = answers
    p = model(lambda graph: graphs.with_temperature(graph, 0.5), overconfident)
    assert np.abs(p - honest).max() < 1e-3
    assert (p.argmax(axis=1) == overconfident.argmax(axis=1)).all()


def test_of_a_graph_that_ends_in_a_softmax_the_scores_are_multiplied(answers, tmp_path):
    W, b = np.random.default_rng(0).standard_normal((3, 4)), np.array([0.5, 0, -0.5])
    graph = graphs.export_softmax(W, b, (2, 2), "linear")
    before = graph.SerializeToString()
    X = np.arange(40, dtype=np.uint8).reshape(10, 2, 2) * 6
    scores = X.reshape(10, 4) / 255 @ W.T + b
    for factor in (0.4, 3.0):
        calibrated = graphs.with_temperature(graph, factor)
        path = tmp_path / "model.onnx"
        path.write_bytes(calibrated.SerializeToString())
        assert Session(path, threads=1)(X) == pytest.approx(softmax(factor * scores), abs=1e-6)
        assert [node.op_type for node in calibrated.graph.node].count("Softmax") == 1
    assert graph.SerializeToString() == before, "the graph that was given is another"


def test_a_graph_with_interpolation_gives_what_numpy_interpolates(answers, model):
    overconfident, _, y = answers
    tables = calibration.isotonic_tables(overconfident, y)
    p = model(lambda graph: graphs.with_interpolation(graph, tables), overconfident)
    columns = [np.interp(overconfident[:, k], *table) for k, table in enumerate(tables)]
    expected = np.column_stack(columns)
    assert p == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-4)
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_where_every_class_is_looked_up_as_nothing_all_are_equal(model):
    tables = [(np.array([0.0, 1.0]), np.array([0.0, 0.0]))] * N_CLASSES
    p = model(lambda g: graphs.with_interpolation(g, tables), np.eye(4, dtype=np.float32))
    assert (p == 0.25).all()


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibration_lowers_the_error_on_other_samples(answers, model, method):
    p, _, y = answers
    learnt, held_out = slice(0, 3000), slice(3000, None)
    if method == "temperature":
        factor = calibration.inverse_temperature(p[learnt], y[learnt])
        after = model(lambda g: graphs.with_temperature(g, factor), p[held_out])
    else:
        tables = calibration.isotonic_tables(p[learnt], y[learnt])
        after = model(lambda g: graphs.with_interpolation(g, tables), p[held_out])
    errors = [
        calibration.calibration_error(q.max(axis=1), q.argmax(axis=1) == y[held_out])
        for q in (p[held_out], after)
    ]
    assert errors[0] > 0.1 > 0.03 > errors[1]


def test_the_error_is_the_one_that_mapie_computes(answers):
    p, _, y = answers
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    expected = expected_calibration_error(right, sure, num_bins=15, split_strategy="uniform")
    assert calibration.calibration_error(sure, right) == pytest.approx(expected, abs=0.01)


def test_the_same_calibration_gives_the_same_bytes(answers, model):
    graph = graphs.constant(1, (2, 2))
    assert graph.SerializeToString() == graphs.constant(1, (2, 2)).SerializeToString()


def test_the_lines_of_two_classes_mirror_each_other():
    random = np.random.default_rng(0)
    honest = random.random(4000)
    y = (random.random(4000) < honest).astype(int)
    given = np.column_stack([1 - honest**2, honest**2])
    (x0, y0), (x1, y1) = calibration.isotonic_tables(given, y)
    for sure in (0.1, 0.5, 0.9):
        first, second = np.interp(1 - sure, x0, y0), np.interp(sure, x1, y1)
        assert first + second == pytest.approx(1)
        assert second == pytest.approx(sure**0.5, abs=0.06)
