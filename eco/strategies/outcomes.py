"""What every model of a pool did on some samples: all that a strategy can be judged by."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eco.strategies.confidence import Signal, confidence, correct, predictions

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Readings:
    """The single readings behind measured energies."""

    per_round_j: Array  #: (n_rounds, n_models) J per sample; NaN where a window didn't count.
    drift: float = 0.0  #: Half-width, as a share, by which runs differ beyond what rounds show.


@dataclass(frozen=True, eq=False)
class RouterOutcome:
    """What one router predicted for the samples, and what that cost."""

    #: Of a router trained on oracle labels, (n_samples,) indices into the pool; of one that scores
    #: the models, (n_samples, n_models) predicted P(correct).
    output: Array
    energy_j: float = 0.0  #: J per sample of the router alone.
    readings_j: Array | None = None  #: (n_rounds,) J per sample in each round.


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What every model of a pool did on the samples of one split."""

    #: The models, light to heavy; the last is the one that losses are counted from.
    pool: tuple[str, ...]
    y: Array  #: (n_samples,) true labels.
    labels: Array  #: (n_samples, n_models) predicted labels.
    confidence: Array  #: (n_samples, n_models) in [0, 1].
    #: (n_samples, n_models) bool; gains in its place, float: see `eco.strategies.metrics`.
    correct: Array
    energy_j: Array  #: (n_models,) J per sample of each model alone.
    readings: Readings | None = None  #: Those behind `energy_j`.
    #: By name of the router's model.
    routers: Mapping[str, RouterOutcome] = field(default_factory=dict)

    @classmethod
    def from_probabilities(
        cls,
        probabilities: Array,
        y: Array,
        energy_j: Array,
        pool: Sequence[str],
        signal: Signal = "max_probability",
        readings: Readings | None = None,
    ) -> Self:
        """Outcomes of models that give probabilities, (n_samples, n_models, n_classes)."""
        return cls(
            pool=tuple(pool),
            y=np.asarray(y),
            labels=predictions(probabilities),
            confidence=confidence(probabilities, signal),
            correct=correct(probabilities, y),
            energy_j=np.asarray(energy_j, float),
            readings=readings,
        )

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.y)

    @property
    def reference_accuracy(self) -> float:
        """Accuracy of the last model."""
        return float(self.correct[:, -1].mean())

    def of(self, models: Collection[str]) -> Self:
        """The same outcomes of some models only, in the order of the pool, without routers."""
        kept = [column for column, name in enumerate(self.pool) if name in models]
        readings = self.readings
        if readings is not None:
            readings = replace(readings, per_round_j=readings.per_round_j[:, kept])
        return replace(
            self,
            pool=tuple(self.pool[column] for column in kept),
            labels=self.labels[:, kept],
            confidence=self.confidence[:, kept],
            correct=self.correct[:, kept],
            energy_j=self.energy_j[kept],
            readings=readings,
            routers={},
        )

    def unharmed(self) -> Self:
        """The same outcomes, where an answer is correct unless it does harm.

        An answer does harm if it is wrong and that of the last model is correct; a gain, by how
        much it lies below that of the last model.
        """
        gain, last = self.correct, self.correct[:, -1:]
        return replace(
            self, correct=gain | ~last if gain.dtype == bool else 1 - (last - gain).clip(0)
        )
