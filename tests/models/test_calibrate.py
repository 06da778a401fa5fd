import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.tree import DecisionTreeClassifier

from eco.evaluation.calibration import calibration_error
from eco.models.features import ImageFeatures
from eco.models.onnx import calibrate
from eco.models.onnx.export import export_softmax, parse
from tests.models.conftest import softmax

N_CLASSES = 4
IDENTITY = f"""same (float[n, {N_CLASSES}] answers) => (float[n, {N_CLASSES}] same)
    {{ same = Identity(answers) }}"""


@pytest.fixture(scope="module")
def samples():
    """Overconfident probabilities, honest ones, and labels drawn from these."""
    random = np.random.default_rng(0)
    logits = 2 * random.standard_normal((6000, N_CLASSES))
    honest = softmax(logits)
    y = np.array([random.choice(N_CLASSES, p=p) for p in honest])
    return softmax(2 * logits).astype(np.float32), honest, y


@pytest.fixture
def identity():
    """A model whose probabilities are its input."""
    return parse(IDENTITY)


def test_the_factor_undoes_overconfidence(samples):
    overconfident, _, y = samples
    factor, smoothing = calibrate.inverse_temperature(overconfident, y)
    assert factor == pytest.approx(0.5, abs=0.03)
    assert smoothing <= 1e-3, "no class has a probability of 0"


def test_leaves_that_rule_a_class_out_dont_spoil_a_tree(run):
    X, y = make_classification(
        3000, n_classes=N_CLASSES, n_informative=6, flip_y=0.1, random_state=0
    )
    train, fitted, held_out = np.split(np.arange(3000), [1000, 2000])
    tree = DecisionTreeClassifier(max_leaf_nodes=40, random_state=0).fit(X[train], y[train])
    p = tree.predict_proba(X).astype(np.float32)
    assert (p[fitted, y[fitted]] == 0).any()
    graph = parse(IDENTITY)
    factor, _ = calibrate.inverse_temperature(p[fitted], y[fitted], [1e-12])
    alone = run(calibrate.with_temperature(graph, factor), p[held_out])
    q = run(calibrate.calibrated(graph, p[fitted], y[fitted], "temperature")[0], p[held_out])
    assert (q.argmax(axis=1) == p[held_out].argmax(axis=1)).all()
    assert log_loss(y[held_out], q) < log_loss(y[held_out], alone) - 0.05
    correct = q.argmax(axis=1) == y[held_out]
    before, spoilt, after = (
        calibration_error(r.max(axis=1), correct) for r in (p[held_out], alone, q)
    )
    assert after < before < spoilt


def test_a_graph_with_temperature_gives_the_honest_probabilities(samples, identity, run):
    overconfident, honest, _ = samples
    p = run(calibrate.with_temperature(identity, 0.5), overconfident)
    assert np.abs(p - honest).max() < 1e-3
    assert (p.argmax(axis=1) == overconfident.argmax(axis=1)).all()


def test_of_a_graph_that_ends_in_a_softmax_the_scores_are_multiplied(run):
    W, b = np.random.default_rng(0).standard_normal((3, 4)), np.array([0.5, 0, -0.5])
    graph = export_softmax(W, b, ImageFeatures((2, 2)))
    before = graph.SerializeToString()
    X = np.arange(40, dtype=np.uint8).reshape(10, 2, 2) * 6
    scores = X.reshape(10, 4) / 255 @ W.T + b
    for factor in (0.4, 3.0):
        calibrated = calibrate.with_temperature(graph, factor)
        assert run(calibrated, X) == pytest.approx(softmax(factor * scores), abs=1e-6)
        assert [node.op_type for node in calibrated.graph.node].count("Softmax") == 1
    assert graph.SerializeToString() == before, "the argument was changed"


def test_a_graph_with_interpolation_gives_what_numpy_interpolates(samples, identity, run):
    overconfident, _, y = samples
    tables = calibrate.isotonic_tables(overconfident, y)
    p = run(calibrate.with_interpolation(identity, tables), overconfident)
    columns = [np.interp(overconfident[:, k], *table) for k, table in enumerate(tables)]
    expected = np.column_stack(columns)
    assert p == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-4)
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_beyond_the_knots_and_at_a_step_it_interpolates_as_numpy_does(identity, run):
    x, y = np.array([0.2, 0.5, 0.5 + 1e-7, 0.8]), np.array([0.1, 0.2, 0.6, 0.7])
    p = np.array([[0.0, 0.2, 0.35, 0.45], [0.55, 0.8, 0.9, 1.0]], np.float32)
    q = run(calibrate.with_interpolation(identity, [(x, y)] * N_CLASSES), p)
    expected = np.interp(p, x, y)
    assert q == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-4)


def test_where_every_class_is_looked_up_as_nothing_all_are_equal(identity, run):
    tables = [(np.array([0.0, 1.0]), np.array([0.0, 0.0]))] * N_CLASSES
    p = run(calibrate.with_interpolation(identity, tables), np.eye(4, dtype=np.float32))
    assert (p == 0.25).all()


@pytest.mark.parametrize("method", ["temperature", "isotonic", "none"])
def test_calibration_lowers_the_error_on_other_samples(samples, identity, run, method):
    p, _, y = samples
    fitted, held_out = slice(0, 3000), slice(3000, None)
    graph, temperature = calibrate.calibrated(identity, p[fitted], y[fitted], method)
    assert (temperature is not None) == (method == "temperature")
    before, after = (
        calibration_error(q.max(axis=1), q.argmax(axis=1) == y[held_out])
        for q in (p[held_out], run(graph, p[held_out]))
    )
    assert before > 0.1
    assert after == before if method == "none" else after < 0.03


def test_the_lines_of_two_classes_mirror_each_other():
    random = np.random.default_rng(0)
    honest = random.random(4000)
    y = (random.random(4000) < honest).astype(int)
    p = np.column_stack([1 - honest**2, honest**2])
    (x0, y0), (x1, y1) = calibrate.isotonic_tables(p, y)
    for confidence in (0.1, 0.5, 0.9):
        first, second = np.interp(1 - confidence, x0, y0), np.interp(confidence, x1, y1)
        assert first + second == pytest.approx(1)
        assert second == pytest.approx(confidence**0.5, abs=0.06)
