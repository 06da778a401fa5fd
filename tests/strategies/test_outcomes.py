import numpy as np

from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes, Readings
from eco.strategies.strategy import Strategy

POOL = ("light", "mid", "heavy")


def test_outcomes_of_some_models_keep_the_order_of_the_pool(table):
    readings = Readings(np.array([[1.0, 10.0, 100.0]] * 3), drift=0.1)
    whole = Outcomes.from_probabilities(**table, pool=POOL, readings=readings)
    some = whole.of(["heavy", "light"])
    assert some.pool == ("light", "heavy")
    assert some.correct.tolist() == whole.correct[:, [0, 2]].tolist()
    assert some.energy_j.tolist() == [1.0, 100.0]
    assert some.readings is not None
    assert some.readings.per_round_j.shape == (3, 2)


def test_a_cascade_of_some_models_does_the_same_among_all_of_them(table):
    whole = Outcomes.from_probabilities(**table, pool=POOL)
    cascade = Strategy("cascade", ("light", "heavy"), (0.9, 0.0))
    among_some, among_all = (decide(cascade, each) for each in (whole.of(cascade.models), whole))
    some = whole.of(cascade.models)
    assert among_some.correct(some).tolist() == among_all.correct(whole).tolist()
    assert among_some.energy_j(some) == among_all.energy_j(whole)
