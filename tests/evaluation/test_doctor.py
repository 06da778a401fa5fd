import numpy as np

from eco.evaluation.doctor import examine
from eco.strategies.outcomes import Outcomes

POOL = ("light", "mid", "heavy")
CORRECT = np.array([[1, 1, 1]] * 8 + [[0, 1, 1]] + [[0, 0, 1]], bool)
CONFIDENCE = np.full((10, 3), 0.9)
FINE = {"light": 0.01, "mid": 0.01, "heavy": 0.01}


def examined(
    correct=CORRECT,
    confidence=CONFIDENCE,
    energy_j=(1, 10, 100),
    errors=FINE,
    method="temperature",
    ties=(),
):
    outcomes = Outcomes(
        POOL, np.ones(10, int), correct.astype(int), confidence, correct, np.array(energy_j, float)
    )
    findings = examine(outcomes, errors, method, ties)
    return {finding.check: finding for finding in findings}


def test_a_pool_without_faults_is_fine():
    checks = ["dominated", "saturated", "calibration", "energy_order"]
    assert list(examined()) == checks
    assert {finding.describe() for finding in examined().values()} == {"fine"}


def test_a_model_that_another_beats_at_less_energy_is_named():
    findings = examined(energy_j=(10, 1, 100))
    assert findings["dominated"].subjects == [("light", "mid")]
    assert findings["dominated"].describe().startswith("light by mid: ")
    assert findings["energy_order"].subjects == [("light", "mid")]
    assert findings["energy_order"].describe().startswith("light costs more than mid: ")


def test_two_equal_models_do_not_dominate_each_other():
    correct = CORRECT[:, [1, 1, 2]]
    assert not examined(correct, energy_j=(10, 10, 100))["dominated"].subjects


def test_a_model_that_is_certain_and_wrong_is_named():
    confidence = CONFIDENCE.copy()
    confidence[:, 0] = 1.0
    finding = examined(confidence=confidence)["saturated"]
    assert finding.subjects == [("light", 1.0, 0.8)]
    assert finding.describe().startswith("light is certain of 100%, right on 80%: ")


def test_a_model_that_is_certain_and_right_is_not():
    confidence = CONFIDENCE.copy()
    confidence[:, 2] = 1.0
    assert not examined(confidence=confidence)["saturated"].subjects


def test_a_badly_calibrated_model_is_named():
    finding = examined(errors=FINE | {"mid": 0.2})["calibration"]
    assert finding.subjects == [("mid", 0.2)]
    assert finding.describe().startswith("mid 0.200: ")


def test_the_advice_is_not_what_is_done_already():
    def advice(method):
        return examined(errors=FINE | {"mid": 0.2}, method=method)["calibration"].describe()

    assert advice("none").endswith("temperature")
    assert advice("temperature").endswith("isotonic")
    assert "try" not in advice("isotonic")


def test_an_order_within_the_noise_is_no_finding():
    findings = examined(energy_j=(10.1, 10, 100), ties=[("light", "mid")])
    assert not findings["energy_order"].subjects
