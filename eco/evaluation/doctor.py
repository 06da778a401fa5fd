"""The pool doctor: what is wrong with a pool of models, and what to do about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eco.evaluation.scoring import misordered_pairs
from eco.strategies.outcomes import Outcomes

#: A confidence that no threshold can tell from certainty.
SATURATED = 0.9999
#: From here on a figure is called out.
SATURATED_SHARE = 0.05
SATURATED_ACCURACY = 0.99
CALIBRATION_ERROR = 0.05

#: The text of one subject of each check, and the advice.
TEXTS = {
    "dominated": (
        "{} by {}",
        "at least as right at no more energy; leave the first of each out of tuning.candidates",
    ),
    "saturated": (
        "{} is certain of {:.0%}, right on {:.0%}",
        "no threshold can defer these; calibrate it, or leave it out of cascades",
    ),
    "calibration": ("{} {:.3f}", "confidences are off by that much; {}"),
    "energy_order": (
        "{} costs more than {}",
        "measured; put pool into the order of energy, or measure again",
    ),
}


@dataclass(frozen=True)
class Finding:
    """What one check found: models and their figures, none if all is fine, and what to do."""

    check: str
    subjects: Sequence[tuple[Any, ...]]
    remedy: str = ""

    def describe(self) -> str:
        """The subjects and the advice, or "fine"."""
        if not self.subjects:
            return "fine"
        subject, advice = TEXTS[self.check]
        subjects = "; ".join(subject.format(*values) for values in self.subjects)
        return f"{subjects}: {advice.format(self.remedy)}"


def examine(
    outcomes: Outcomes,
    calibration_error: Mapping[str, float],
    method: str,
    ties: Sequence[tuple[str, str]],
) -> list[Finding]:
    """One finding per check, in the order of `TEXTS`, from samples that choices may be made on.

    `calibration_error` is that of each model after calibration by `method`; `ties` the models whose
    energies can't be told apart, as `intervals.indistinguishable_pairs` has them.
    """
    pool = outcomes.pool
    uncalibrated = [(m, e) for m, e in calibration_error.items() if e > CALIBRATION_ERROR]
    other = "temperature" if method == "none" else "isotonic"
    remedy = f"try calibration.method {other}" if other != method else "give it more images"
    misordered = [pair for pair in misordered_pairs(outcomes.energy_j, pool) if pair not in ties]
    return [
        Finding("dominated", list(_dominated(outcomes))),
        Finding("saturated", list(_saturated(outcomes))),
        Finding("calibration", uncalibrated, remedy),
        Finding("energy_order", misordered),
    ]


def _dominated(outcomes: Outcomes) -> Iterator[tuple[str, str]]:
    """Models, each with the first that is at least as accurate at no more energy."""
    accuracy, energy_j = outcomes.correct.mean(axis=0), outcomes.energy_j
    for i, model in enumerate(outcomes.pool):
        no_worse = (accuracy >= accuracy[i]) & (energy_j <= energy_j[i])
        better = no_worse & ((accuracy > accuracy[i]) | (energy_j < energy_j[i]))
        if better.any():
            yield model, outcomes.pool[int(better.argmax())]


def _saturated(outcomes: Outcomes) -> Iterator[tuple[str, float, float]]:
    """Models that are certain and often wrong: on which share, and their accuracy there."""
    for i, model in enumerate(outcomes.pool):
        certain = outcomes.confidence[:, i] >= SATURATED
        accuracy = outcomes.correct[certain, i].mean() if certain.any() else 1.0
        if certain.mean() > SATURATED_SHARE and accuracy < SATURATED_ACCURACY:
            yield model, float(certain.mean()), float(accuracy)
