import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.cascading import cascade, cascade_energy_j, run_cascade, shared_threshold_curve
from eco.confidence import confidence, correct


def test_a_reader_can_check_the_table(table):
    sure = confidence(table["probabilities"], "max_probability")
    answered_at = cascade(sure, [0.9, 0.8, 0.0])
    assert answered_at.tolist() == [0, 1, 0, 2]
    assert cascade_energy_j(answered_at, table["energy_j"]).tolist() == [1, 11, 1, 111]


def test_a_confidence_equal_to_the_threshold_is_accepted(table):
    sure = confidence(table["probabilities"], "max_probability")
    assert cascade(sure, [0.95, 0.9, 0.0])[0] == 0
    assert cascade(sure, [0.9501, 0.9, 0.0])[0] == 1


@st.composite
def cascades(draw):
    n_samples, n_active = draw(st.integers(1, 30)), draw(st.integers(1, 5))
    share = st.integers(0, 10_000).map(lambda n: n / 10_000)
    sure = draw(arrays(np.float64, (n_samples, n_active), elements=share))
    thresholds = [*draw(st.lists(share, min_size=n_active - 1, max_size=n_active - 1)), 0.0]
    joules = st.floats(1e-9, 1.0)
    energy_j = np.array(draw(st.lists(joules, min_size=n_active, max_size=n_active)))
    return sure, np.array(thresholds), energy_j


@given(cascades())
def test_it_agrees_with_asking_one_model_after_the_other(case):
    sure, thresholds, energy_j = case
    answered_at = cascade(sure, thresholds)
    spent = cascade_energy_j(answered_at, energy_j)
    for sample, row in enumerate(sure):
        cost = 0.0
        for position, score in enumerate(row):
            cost += energy_j[position]
            if score >= thresholds[position] or position == len(row) - 1:
                break
        assert answered_at[sample] == position
        assert spent[sample] == pytest.approx(cost)


@given(cascades())
def test_threshold_0_never_defers(case):
    sure, thresholds, _ = case
    assert (cascade(sure, np.zeros_like(thresholds)) == 0).all()


@given(cascades())
def test_unreachable_thresholds_cost_the_sum_of_all_energies(case):
    sure, thresholds, energy_j = case
    unreachable = np.append(np.full(len(thresholds) - 1, 1.1), 0.0)
    spent = cascade_energy_j(cascade(sure, unreachable), energy_j)
    assert spent == pytest.approx(np.full(len(sure), energy_j.sum()))


@given(cascades(), st.data())
def test_raising_a_threshold_never_saves_energy(case, data):
    sure, thresholds, energy_j = case
    raised = thresholds.copy()
    position = data.draw(st.integers(0, len(thresholds) - 1))
    if position < len(thresholds) - 1:
        raised[position] = data.draw(st.floats(thresholds[position], 1.0))
    before = cascade_energy_j(cascade(sure, thresholds), energy_j)
    assert (cascade_energy_j(cascade(sure, raised), energy_j) >= before).all()


@given(cascades(), st.randoms())
def test_a_permutation_of_samples_permutes_the_result(case, random):
    sure, thresholds, _ = case
    order = list(range(len(sure)))
    random.shuffle(order)
    assert (cascade(sure, thresholds)[order] == cascade(sure[order], thresholds)).all()


@given(cascades())
def test_samples_do_not_affect_each_other(case):
    sure, thresholds, _ = case
    alone = [cascade(sure[i : i + 1], thresholds)[0] for i in range(len(sure))]
    assert cascade(sure, thresholds).tolist() == alone


@given(cascades())
def test_what_ran_costs_what_the_cascade_costs(case):
    sure, thresholds, energy_j = case
    active = np.arange(len(energy_j))[::-1]
    answered_by, ran = run_cascade(sure[:, ::-1], active, thresholds)
    answered_at = cascade(sure, thresholds)
    assert answered_by.tolist() == active[answered_at].tolist()
    assert ran @ energy_j[::-1] == pytest.approx(cascade_energy_j(answered_at, energy_j))


def test_the_curve_runs_from_the_first_model_alone_to_all_of_them(table):
    sure, right = (
        confidence(table["probabilities"], "max_probability"),
        correct(table["probabilities"], table["y"]),
    )
    curve = list(shared_threshold_curve(sure, right, table["energy_j"], steps=11))
    assert curve[0] == (0.0, 0.25, 1.0)
    assert curve[-1] == (1.0, 0.75, 111.0)
    energies = [energy for _, _, energy in curve]
    assert energies == sorted(energies)
