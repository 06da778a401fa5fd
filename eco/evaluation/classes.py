"""Classes that a strategy gives up."""

from collections.abc import Sequence

import numpy as np

from eco.strategies.decisions import decide
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import Strategy

#: Classes that a text names.
NAMED = 10


def named(classes: Sequence[str], most: int = NAMED) -> str:
    """The first names of some classes, and how many more there are.

    >>> named(["ant", "bee", "cat", "dog"], 2)
    'ant, bee and 2 more'
    """
    more = f" and {len(classes) - most:,} more" if len(classes) > most else ""
    return ", ".join(classes[:most]) + more


def vanished_classes(strategy: Strategy, *splits: Outcomes) -> Array:
    """Classes that the last model answers at least once and the strategy never, by rising label.

    A target for the mean accuracy can be met without a rare class: its samples are few. Raises
    as `decide` does.

    Examples
    --------
    >>> from eco.strategies.strategy import always
    >>> p = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.8, 0.2], [0.7, 0.3]]])
    >>> outcomes = Outcomes.from_probabilities(p, [1, 0], [1.0, 9.0], ["light", "heavy"])
    >>> vanished_classes(always("light"), outcomes)
    array([1])
    """
    answers, by_last = [], []
    for outcomes in splits:
        answered_by = decide(strategy, outcomes).answered_by
        answers.append(outcomes.labels[np.arange(len(outcomes)), answered_by])
        by_last.append(outcomes.labels[:, -1])
    return np.setdiff1d(np.concatenate(by_last), np.concatenate(answers))
