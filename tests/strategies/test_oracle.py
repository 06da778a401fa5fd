import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.strategies.cascade import cascade
from eco.strategies.confidence import correct as is_correct
from eco.strategies.oracle import oracle


def test_a_reader_can_check_the_table(table):
    correct = is_correct(table["probabilities"], table["y"])
    assert oracle(correct, table["energy_j"], "last").tolist() == [0, 1, 2, 2]
    assert oracle(correct, table["energy_j"], "cheapest").tolist() == [0, 1, 2, 0]


def test_cheapest_is_by_measured_energy_not_by_position():
    correct = np.array([[True, True, True]])
    assert oracle(correct, np.array([5.0, 1.0, 9.0]), "last").tolist() == [1]


@settings(deadline=None)
@given(
    arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 5))),
    st.data(),
    st.sampled_from(["last", "cheapest"]),
)
def test_no_choice_of_models_beats_its_accuracy(correct, data, none_correct):
    n_samples, n_models = correct.shape
    joules = st.floats(1e-6, 1.0)
    energy_j = np.array(data.draw(st.lists(joules, min_size=n_models, max_size=n_models)))
    best = oracle(correct, energy_j, none_correct)
    confidence = data.draw(arrays(np.float64, correct.shape, elements=st.floats(0, 1)))
    other = cascade(confidence, np.append(np.full(n_models - 1, 0.5), 0.0))
    samples = np.arange(n_samples)
    assert correct[samples, best].sum() >= correct[samples, other].sum()
    assert correct[samples, best].sum() == correct.any(axis=1).sum()


@settings(deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 20), st.just(3))))
def test_no_cheaper_model_is_correct_where_it_names_one(correct):
    energy_j = np.array([3.0, 1.0, 2.0])
    best = oracle(correct, energy_j, "last")
    for row, chosen in zip(correct, best, strict=True):
        if row.any():
            assert row[chosen]
            assert not row[energy_j < energy_j[chosen]].any()
