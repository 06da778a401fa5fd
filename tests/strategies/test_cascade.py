import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.strategies.cascade import agreement, cascade, cascade_ran, run_cascade
from eco.strategies.confidence import confidence as confidence_of


def energy_j_of(position, energy_j):
    """J of each sample of a cascade of all models."""
    return cascade_ran(position, np.arange(len(energy_j)), len(energy_j)) @ energy_j


def test_a_reader_can_check_the_table(table):
    confidence = confidence_of(table["probabilities"], "max_probability")
    position = cascade(confidence, [0.9, 0.8, 0.0])
    assert position.tolist() == [0, 1, 0, 2]
    assert energy_j_of(position, table["energy_j"]).tolist() == [1, 11, 1, 111]


def test_a_confidence_equal_to_the_threshold_is_accepted(table):
    confidence = confidence_of(table["probabilities"], "max_probability")
    assert cascade(confidence, [0.95, 0.9, 0.0])[0] == 0
    assert cascade(confidence, [0.9501, 0.9, 0.0])[0] == 1


@st.composite
def cascades(draw):
    n_samples, n_active = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    share = st.integers(0, 10_000).map(lambda n: n / 10_000)
    confidence = draw(arrays(np.float64, (n_samples, n_active), elements=share))
    thresholds = [*draw(st.lists(share, min_size=n_active - 1, max_size=n_active - 1)), 0.0]
    joules = st.floats(1e-9, 1.0)
    energy_j = np.array(draw(st.lists(joules, min_size=n_active, max_size=n_active)))
    return confidence, np.array(thresholds), energy_j


@settings(deadline=None)
@given(cascades())
def test_it_agrees_with_running_one_model_after_the_other(case):
    confidence, thresholds, energy_j = case
    position = cascade(confidence, thresholds)
    energy = energy_j_of(position, energy_j)
    for sample, row in enumerate(confidence):
        cost = 0.0
        for model, score in enumerate(row):
            cost += energy_j[model]
            if score >= thresholds[model] or model == len(row) - 1:
                break
        assert position[sample] == model
        assert energy[sample] == pytest.approx(cost)


@settings(deadline=None)
@given(cascades())
def test_threshold_0_never_defers(case):
    confidence, thresholds, _ = case
    assert (cascade(confidence, np.zeros_like(thresholds)) == 0).all()


@settings(deadline=None)
@given(cascades())
def test_unreachable_thresholds_cost_the_sum_of_all_energies(case):
    confidence, thresholds, energy_j = case
    unreachable = np.append(np.full(len(thresholds) - 1, 1.1), 0.0)
    energy = energy_j_of(cascade(confidence, unreachable), energy_j)
    assert energy == pytest.approx(np.full(len(confidence), energy_j.sum()))


@settings(deadline=None)
@given(cascades(), st.data())
def test_raising_a_threshold_never_saves_energy(case, data):
    confidence, thresholds, energy_j = case
    raised = thresholds.copy()
    position = data.draw(st.integers(0, len(thresholds) - 1))
    if position < len(thresholds) - 1:
        raised[position] = data.draw(st.floats(thresholds[position], 1.0))
    before = energy_j_of(cascade(confidence, thresholds), energy_j)
    assert (energy_j_of(cascade(confidence, raised), energy_j) >= before * (1 - 1e-12)).all()


@settings(deadline=None)
@given(cascades(), st.randoms())
def test_a_permutation_of_samples_permutes_the_result(case, random):
    confidence, thresholds, _ = case
    order = list(range(len(confidence)))
    random.shuffle(order)
    assert (cascade(confidence, thresholds)[order] == cascade(confidence[order], thresholds)).all()


@settings(deadline=None)
@given(cascades())
def test_samples_do_not_affect_each_other(case):
    confidence, thresholds, _ = case
    alone = [cascade(confidence[i : i + 1], thresholds)[0] for i in range(len(confidence))]
    assert cascade(confidence, thresholds).tolist() == alone


@settings(deadline=None)
@given(cascades())
def test_models_are_named_by_their_place_in_the_pool(case):
    confidence, thresholds, energy_j = case
    active = np.arange(len(energy_j))[::-1]
    answered_by, ran = run_cascade(confidence[:, ::-1], active, thresholds)
    position = cascade(confidence, thresholds)
    assert answered_by.tolist() == active[position].tolist()
    assert ran @ energy_j[::-1] == pytest.approx(energy_j_of(position, energy_j))


def test_two_equal_labels_are_an_agreement():
    assert agreement(np.array([[1, 1, 0], [1, 0, 0], [2, 1, 0]])).tolist() == [1, 2, 2]
    assert agreement(np.array([[3], [4]])).tolist() == [0, 0]
