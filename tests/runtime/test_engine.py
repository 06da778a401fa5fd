"""The engine against the arithmetic on stored probabilities, and against models that misbehave."""

from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.errors import ModelError
from eco.runtime.calls import least_units, to_confidence
from eco.runtime.checks import TOLERANCE
from eco.runtime.engine import Cascade, Parallel, Routing
from eco.strategies.cascade import run_cascade
from eco.strategies.confidence import confidence, predictions, round_probabilities
from eco.strategies.routing import routed_ran, run_policy


class Identity:
    """A model whose probabilities are its input: samples hold one row for each model."""

    def __init__(self, column):
        self.column = column
        self.seen = 0
        self.largest = 0

    def __call__(self, X):
        self.seen += len(X)
        self.largest = max(self.largest, len(X))
        return X[:, self.column]


def samples(seed, n=40, n_models=3, n_classes=4):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(n_classes, 0.4), (n, n_models))
    # Some whose largest probabilities are equal once they are rounded.
    p[::4] = 1 / n_classes + random.uniform(-2e-5, 2e-5, p[::4].shape)
    p /= p.sum(-1, keepdims=True)
    return p.astype(random.choice([np.float32, np.float64]))


thresholds = st.lists(st.floats(0, 1), min_size=2, max_size=2)
signals = st.sampled_from(["max_probability", "margin", "entropy"])


@given(st.integers(0, 50), thresholds, signals, st.integers(1, 50))
@settings(deadline=None)
def test_a_cascade_decides_as_the_arithmetic_does(seed, some, signal, call_size):
    X = samples(seed)
    models = [Identity(i) for i in range(3)]
    answers = Cascade(models, [*some, 0.0], signal, call_size)(X)
    stored = round_probabilities(X).astype(np.float32)
    expected = confidence(stored, signal)
    answered_by, ran = run_cascade(expected, np.arange(3), np.array([*some, 0.0]))
    rows = np.arange(len(X))
    assert (answers.answered_by == answered_by).all()
    assert (answers.ran == ran).all()
    assert (answers.labels == predictions(stored)[rows, answered_by]).all()
    assert (answers.labels == predictions(X)[rows, answered_by]).all()
    assert (answers.confidence == expected[rows, answered_by]).all()
    assert (answers.probabilities == X[rows, answered_by]).all()
    # No model sees a sample that was answered before, nor more at once than it should.
    assert [model.seen for model in models] == ran.sum(axis=0).tolist()
    assert max(model.largest for model in models) <= call_size


@given(st.integers(0, 50), st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, 0, 1]))
@settings(deadline=None)
def test_a_router_decides_as_the_arithmetic_does(seed, price, threshold, probe):
    X = samples(seed)
    energy_j = np.array([1.0, 4.0, 9.0])
    scores = np.random.default_rng(seed + 1).random((len(X), 3))
    remaining_j = energy_j.copy()
    if probe is not None:
        remaining_j[probe] = 0
    sizes = []

    def pick(router_input):
        start = sum(sizes)
        sizes.append(len(router_input))
        part = scores[start : start + len(router_input)]
        return np.argmax(part - price * remaining_j / energy_j[-1], axis=1)

    models = [Identity(i) for i in range(3)]
    answers = Routing(pick, models, probe, threshold)(X)
    stored = confidence(round_probabilities(X), "max_probability")
    expected = run_policy(scores, stored, energy_j, price, threshold, probe)
    assert (answers.answered_by == expected[0]).all()
    assert (answers.ran == expected[1]).all()
    assert (answers.labels == predictions(X)[np.arange(len(X)), expected[0]]).all()
    assert [model.seen for model in models] == answers.ran.sum(axis=0).tolist()


def test_a_router_that_names_models_itself():
    X = samples(0)
    picked = np.arange(len(X)) % 3
    answers = Routing(lambda X: picked, [Identity(i) for i in range(3)])(X)
    assert (answers.answered_by == picked).all()
    assert (answers.ran == routed_ran(picked, 3)).all()


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("route", [False, True])
def test_each_model_answers_as_finely_as_it_does_alone(n, route):
    def light(X):
        return np.tile(np.float32([0.6, 0.4]), (len(X), 1))

    def heavy(X):
        return np.tile([0.5 - 1e-12, 0.5 + 1e-12], (len(X), 1))

    def pick(X):
        return np.arange(len(X)) % 2

    cascade = Cascade([light, heavy], [0.9, 0.0])
    answers = (Routing(pick, [light, heavy], threshold=0.9) if route else cascade)(samples(0, n=n))
    assert answers.labels.tolist() == [1] * n
    assert (answers.probabilities == heavy(range(n))).all()


@pytest.mark.parametrize("n_classes", [1000, 20_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("signal", ["max_probability", "margin", "entropy"])
def test_among_many_classes_it_decides_as_the_arithmetic_does(n_classes, dtype, signal):
    X = np.random.default_rng(0).dirichlet(np.full(n_classes, 1e3), (6, 2)).astype(dtype)
    X[0] = 1 / n_classes
    expected = confidence(round_probabilities(X), signal)
    threshold = float(np.median(expected[:, 0]))
    answers = Cascade([Identity(0), Identity(1)], [threshold, 0.0], signal)(X)
    answered_by, _ = run_cascade(expected, [0, 1], [threshold, 0.0])
    assert (answers.answered_by == answered_by).all()
    assert (answers.confidence == expected[np.arange(6), answered_by]).all()
    assert (answers.labels == X[np.arange(6), answered_by].argmax(axis=1)).all()


def test_samples_do_not_affect_each_other():
    X = samples(3)
    run = Cascade([Identity(i) for i in range(3)], [0.8, 0.7, 0.0])
    together, alone = run(X), [run(X[[i]]) for i in range(len(X))]
    assert together.answered_by.tolist() == [int(one.answered_by[0]) for one in alone]
    shuffled = np.random.default_rng(0).permutation(len(X))
    assert (run(X[shuffled]).answered_by == together.answered_by[shuffled]).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.4, 0.0, 0.0], "sum to 1; row 2"),
        ([np.nan, 0.5, 0.5, 0.0], "sum to 1; row 2"),
        ([1.5, -0.5, 0.0, 0.0], "sum to 1; row 2"),
        ([np.inf, 0.0, 0.0, 0.0], "sum to 1; row 2"),
    ],
)
def test_rows_that_are_no_probabilities_are_named(row, message):
    X = samples(0, n=5)
    X[2, 0] = row
    with pytest.raises(ModelError, match=message):
        Cascade([Identity(0), Identity(1)], [0.5, 0.0])(X)


@given(st.integers(0, 5), st.integers(1, 60), st.integers(1, 9), st.integers(1, 20))
@settings(deadline=None)
def test_workers_answer_as_one_does(seed, n, workers, call_size):
    X = samples(seed, n)
    models = [Identity(i) for i in range(3)]
    cascade = Cascade(models, [0.8, 0.7, 0.0], call_size=call_size)
    alone, together = cascade(X), Parallel(cascade, workers, call_size)(X)
    for one, other in zip(alone, together, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_workers_run_side_by_side():
    meeting = Barrier(2, timeout=10)

    def model(X):
        meeting.wait()  # which one worker alone would never leave
        return np.tile([0.6, 0.4], (len(X), 1))

    answers = Parallel(Cascade([model], [0.0], call_size=10), 2, 10)(np.zeros((20, 2, 2)))
    assert len(answers.labels) == 20


def test_an_error_of_a_worker_is_raised():
    def model(X):
        return np.full((len(X), 2), np.nan)

    with pytest.raises(ModelError, match="probabilities"):
        Parallel(Cascade([model], [0.0]), 2)(np.zeros((600, 2, 2)))


@pytest.mark.parametrize("shape", [(5,), (4, 3), (5, 1), (5, 2, 2)])
def test_answers_of_another_shape_are_refused(shape):
    with pytest.raises(ModelError, match="a row of probabilities for each of 5 samples"):
        Cascade([lambda X: np.full(shape, 0.5)], [0.0])(samples(0, n=5))


@pytest.mark.parametrize("later", ["words", 0.5 + 0j])
def test_answers_of_another_type_in_a_later_call_are_refused(later):
    def model(X):
        return np.full((len(X), 2), 0.5 if len(X) == 3 else later)

    with pytest.raises(ModelError, match=r"of one form.* after float64"):
        Cascade([model], [0.0], call_size=3)(samples(0, n=5))


def test_a_classifier_that_is_always_certain_may_count_in_whole_numbers():
    answers = Cascade([lambda X: np.tile([0, 1], (len(X), 1))], [0.0])(samples(0, n=5))
    assert answers.labels.tolist() == [1] * 5
    assert answers.confidence.tolist() == [1.0] * 5


def test_answers_of_another_shape_in_a_later_call_are_refused():
    def model(X):
        return np.full((len(X), 2 if len(X) == 3 else 4), 0.5)

    with pytest.raises(ModelError, match=r"got shape \(2, 4\) where \(2, 2\)"):
        Cascade([model], [0.0], call_size=3)(samples(0, n=5))


@pytest.mark.parametrize(("miss", "passes"), [(0.9, True), (1.1, False)])
def test_rows_that_all_miss_1_pass_within_the_tolerance_only(miss, passes):
    def model(X):
        return np.tile(np.float32([0.4, 0.6 + miss * TOLERANCE]), (len(X), 1))

    cascade = Cascade([model], [0.0])
    if passes:
        assert len(cascade(samples(0, n=50)).labels) == 50
        return
    with pytest.raises(ModelError, match="sum to 1"):
        cascade(samples(0, n=50))


def test_a_confidence_reaches_a_threshold_to_the_last_bit():
    units = np.arange(10_001)
    confidences = to_confidence(units)
    assert np.array_equal(confidences, (units / 10_000).round(4))
    for least, threshold in zip(units.tolist(), confidences.tolist(), strict=True):
        assert least_units(threshold) == least
        assert least_units(np.nextafter(threshold, -1)) == least
        above = least_units(np.nextafter(threshold, 2))
        assert above == (least + 1 if least < 10_000 else np.inf)
    assert least_units(-np.inf) == -np.inf


@pytest.mark.parametrize("n", [1, 2, 5])
def test_models_of_other_classes_are_refused(n):
    def two(X):
        return np.tile([0.6, 0.4], (len(X), 1))

    def three(X):
        return np.tile([0.1, 0.2, 0.7], (len(X), 1))

    with pytest.raises(
        ModelError, match="model 1 returns probabilities of 3 classes, another one of 2"
    ):
        Cascade([two, three], [0.9, 0.0], call_size=3)(samples(0, n=n))
    with pytest.raises(ModelError, match="the same classes"):
        Routing(lambda X: np.zeros(len(X), int), [two, three], threshold=0.9)(samples(0, n=n))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"signal": "loudness"}, "max_probability, margin, entropy; got 'loudness'"),
        ({"call_size": 0}, "call_size must be 1 or more; got 0"),
    ],
)
def test_unknown_settings_are_refused(wrong, message):
    models = [Identity(0), Identity(1)]
    for make in (
        lambda: Cascade(models, [0.5, 0.0], **wrong),
        lambda: Routing(lambda X: np.zeros(len(X), int), models, **wrong),
    ):
        with pytest.raises(ModelError, match=message):
            make()


def test_a_threshold_that_is_nan_and_an_unknown_probe_are_refused():
    models = [Identity(0), Identity(1)]
    with pytest.raises(ModelError, match=r"must be a number; got \[nan, 0.0\]"):
        Cascade(models, [np.nan, 0.0])
    for probe in (-1, 2):
        with pytest.raises(ModelError, match=f"one of 2 models; got index {probe}"):
            Routing(lambda p: np.zeros(len(p), int), models, probe=probe)


@pytest.mark.parametrize("picked", [np.full(5, np.nan), np.full(5, 0.5), np.array(["0"] * 5)])
def test_a_router_names_models_by_whole_numbers(picked):
    with pytest.raises(ModelError, match="by its index"):
        Routing(lambda X: picked, [Identity(0), Identity(1)])(samples(0, n=5))


def test_no_samples_are_refused():
    models = [Identity(0), Identity(1)]
    for run in (Cascade(models, [0.5, 0.0]), Routing(lambda X: np.zeros(len(X), int), models)):
        with pytest.raises(ModelError, match="one sample at least"):
            run(samples(0, n=0))


@pytest.mark.parametrize("picked", [np.full(5, 2), np.full(5, -1), np.zeros(4, int)])
def test_a_router_that_names_no_model_is_refused(picked):
    with pytest.raises(ModelError, match="one of 2 models for each of 5 samples"):
        Routing(lambda X: picked, [Identity(0), Identity(1)])(samples(0, n=5))


def test_a_cascade_takes_one_threshold_for_each_model():
    with pytest.raises(ModelError, match="got 2 models and 1 thresholds"):
        Cascade([Identity(0), Identity(1)], [0.0])


def test_an_error_carries_the_position_of_its_model():
    with pytest.raises(ModelError) as error:
        Cascade([Identity(0), lambda X: X], [1.0, 0.0])(samples(0, n=5))
    assert error.value.model == 1
    assert "model" not in error.value.problem
