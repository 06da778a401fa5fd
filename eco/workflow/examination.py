"""The pool doctor, called on the files of a study."""

from collections.abc import Sequence

from eco.evaluation.calibration import calibration_error
from eco.evaluation.doctor import examine
from eco.strategies.confidence import confidence
from eco.workflow.outcomes import load_outcomes, load_probabilities
from eco.workflow.schema import Params


def examine_pool(settings: Params, ties: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What is wrong with the candidates for cascades, by check.

    It is advice, so it looks at images that choices are made on. `ties` are the models whose
    energies can't be told apart.
    """
    pool = settings.candidates
    outcomes = load_outcomes(settings, "tuning").of(pool)
    probabilities = load_probabilities(pool, "tuning", settings.data.name)
    largest = confidence(probabilities, "max_probability")
    columns = zip(pool, largest.T, outcomes.correct.T, strict=True)
    errors = {model: calibration_error(*column) for model, *column in columns}
    findings = examine(outcomes, errors, settings.calibration.method, ties)
    return {finding.check: finding.describe() for finding in findings}
