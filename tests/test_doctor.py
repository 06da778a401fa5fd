import numpy as np

from eco.doctor import examine

POOL = ["light", "mid", "heavy"]
RIGHT = np.array([[1, 1, 1]] * 8 + [[0, 1, 1]] + [[0, 0, 1]], bool)
SURE = np.tile([0.9, 0.9, 0.9], (10, 1))
FINE = {"light": 0.01, "mid": 0.01, "heavy": 0.01}


def examined(
    right=RIGHT,
    sure=SURE,
    energy_j=(1, 10, 100),
    oracle=None,
    errors=FINE,
    method="temperature",
    ties=(),
):
    oracle = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2]) if oracle is None else oracle
    return examine(sure, right, np.array(energy_j, float), oracle, errors, method, ties, POOL)


def test_a_pool_without_faults_is_fine():
    assert set(examined().values()) == {"fine"}


def test_a_model_that_another_beats_at_less_energy_is_named():
    assert "heavy by" not in examined(energy_j=(10, 1, 100))["dominated"]
    assert examined(energy_j=(10, 1, 100))["dominated"].startswith("light by mid: ")
    assert examined(energy_j=(10, 1, 100))["energy_order"].startswith("light costs more than mid")


def test_two_equal_models_do_not_dominate_each_other():
    right = RIGHT[:, [1, 1, 2]]
    assert examined(right, energy_j=(10, 10, 100))["dominated"] == "fine"


def test_a_model_that_is_certain_and_wrong_is_named():
    sure = SURE.copy()
    sure[:, 0] = 1.0
    assert examined(sure=sure)["saturated"].startswith("light is certain of 100%, right on 80%")


def test_a_model_that_is_certain_and_right_is_not():
    sure = SURE.copy()
    sure[:, 2] = 1.0
    assert examined(sure=sure)["saturated"] == "fine"


def test_a_badly_calibrated_model_is_named():
    assert examined(errors=FINE | {"mid": 0.2})["calibration"].startswith("mid 0.200")


def test_the_advice_is_not_what_is_done_already():
    bad = FINE | {"mid": 0.2}
    assert examined(errors=bad, method="none")["calibration"].endswith("temperature")
    assert examined(errors=bad, method="temperature")["calibration"].endswith("isotonic")
    assert "try" not in examined(errors=bad, method="isotonic")["calibration"]


def test_an_order_within_the_noise_is_no_finding():
    assert examined(energy_j=(10.1, 10, 100), ties=["light and mid"])["energy_order"] == "fine"


def test_labels_that_name_hardly_anything_else_are_called_collapsed():
    told = examined(oracle=np.array([0] * 9 + [2]))["oracle_labels"]
    assert told.startswith("light is 90% of them")
