import numpy as np

from eco.evaluation.machines import ranking, ratios, transfer, tuned_for
from eco.strategies.outcomes import Outcomes

#: Both light models are right on one half each, where they are sure, and unsure elsewhere.
SURE = np.array([[True, False, True], [False, True, True]] * 50)
ENERGIES_J = np.array([[1.0, 2.0, 100.0], [60.0, 2.0, 100.0]])


def outcomes(energy_j):
    confidence = np.where(SURE, 0.9, 0.1)
    labels = np.where(SURE, 0, 1)
    return Outcomes(("a", "b", "c"), np.zeros(100, int), labels, confidence, SURE, energy_j)


def test_ratios_are_of_the_last_model_and_rankings_of_each_machine():
    assert ratios(ENERGIES_J).tolist() == [[0.01, 0.02, 1.0], [0.6, 0.02, 1.0]]
    orders = [ranking(energy_j, "abc") for energy_j in ENERGIES_J]
    assert orders == [("a", "b", "c"), ("b", "a", "c")]


def test_what_is_tuned_here_costs_more_there():
    """One half is deferred: a and b take 1 + 2 / 2 here and 60 + 2 / 2 there, b and c 2 + 100 / 2.

    All in hundredths of c, which is right everywhere, as both of these cascades are.
    """
    tuned = [tuned_for(outcomes(j), 0.0, 0.0, 100, 3) for j in ENERGIES_J]
    assert [point.strategy.models for point in tuned] == [("a", "b"), ("b", "c")]
    shares = transfer(tuned, outcomes(ENERGIES_J[0]), ENERGIES_J)
    assert np.allclose(shares, [[0.02, 0.61], [0.52, 0.52]])
