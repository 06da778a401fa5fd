"""The strategies, executed: each model runs on the samples that still need an answer, no others.

A model is anything that is called with a batch of samples and returns their probabilities, so the
same engine serves ONNX graphs and scikit-learn classifiers. It decides exactly as the arithmetic
in `eco.strategies` does on stored probabilities: confidences are rounded alike. Labels and
probabilities are the models' own.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from eco.errors import ModelError
from eco.runtime.calls import CALL_SIZE, Model, in_calls, least_units, run_model, to_confidence
from eco.strategies.confidence import Signal, predictions, round_probabilities

Array = NDArray[Any]


class Answers(NamedTuple):
    """What a strategy answered, and which models ran.

    ``probabilities``: (n_samples, n_classes) of the model that answered; ``answered_by``:
    (n_samples,) its index; ``confidence``: (n_samples,) its confidence; ``ran``: (n_samples,
    n_models) bool.
    """

    probabilities: Array
    answered_by: Array
    confidence: Array
    ran: Array

    @property
    def labels(self) -> Array:
        """Index of the predicted class, (n_samples,) int64."""
        return predictions(self.probabilities)


class _Runner:
    """Models, and how they are called."""

    def __init__(self, models: Sequence[Model], signal: Signal, call_size: int) -> None:
        if signal not in get_args(Signal):
            raise ModelError(f"signal must be one of {', '.join(get_args(Signal))}; got {signal!r}")
        if call_size < 1:
            raise ModelError(f"call_size must be 1 or more; got {call_size}")
        self._models = models
        self._signal: Signal = signal
        self._call_size = call_size

    def _run(self, position: int, X: Any, which: Array | None = None) -> tuple[Array, Array]:
        """Probabilities of one model for some samples, and its confidence in units."""
        model = self._models[position]
        return run_model(model, position, X, which, self._signal, self._call_size)


class Cascade(_Runner):
    """Models in turn, each on the samples that the one before deferred.

    Parameters
    ----------
    models : sequence of callable
        From a batch of samples to probabilities (n, n_classes), in the order they run.
    thresholds : sequence of float
        One for each model: at or above it the answer is accepted. The last model answers
        whatever reaches it. A cascade of one model is that model alone.
    signal : {"max_probability", "margin", "entropy"}
    call_size : int
        Samples of one call at most.

    Examples
    --------
    >>> def light(X): return np.tile([0.6, 0.4], (len(X), 1))
    >>> def heavy(X): return np.tile([0.1, 0.9], (len(X), 1))
    >>> answers = Cascade([light, heavy], [0.9, 0.0])(np.zeros((2, 5)))
    >>> answers.labels, answers.answered_by
    (array([1, 1]), array([1, 1]))
    """

    def __init__(
        self,
        models: Sequence[Model],
        thresholds: Sequence[float],
        signal: Signal = "max_probability",
        call_size: int = CALL_SIZE,
    ) -> None:
        if len(models) != len(thresholds) or not models:
            raise ModelError(
                "a cascade takes one threshold for each of its models, and one model at least; "
                f"got {len(models)} models and {len(thresholds)} thresholds"
            )
        if any(math.isnan(threshold) for threshold in thresholds):
            raise ModelError(f"a threshold must be a number; got {list(map(float, thresholds))}")
        super().__init__(models, signal, call_size)
        self._least_units = [*map(least_units, thresholds[:-1]), -np.inf]
        #: Which models ran, by the one that answered.
        self._ran = np.tri(len(models), dtype=bool)

    def __call__(self, X: Any) -> Answers:
        """Answer samples; ModelError if a model returns anything but probabilities."""
        return self._answer_one(X) if len(X) == 1 else self._answer_many(X)

    def _answer_one(self, X: Any) -> Answers:
        """A single sample, for which the bookkeeping of a batch would cost more than a model."""
        before: Array | None = None
        for position, least in enumerate(self._least_units):
            p, units = self._run(position, X)
            if before is not None:
                _to_hold(before, p, position)
            if units[0] >= least:
                break
            before = p
        answered_by = np.array([position])
        return Answers(p, answered_by, to_confidence(units), self._ran[answered_by])

    def _answer_many(self, X: Any) -> Answers:
        p, units = self._run(0, X)
        # A copy: what is overwritten below may be the model's own array, or the samples themselves.
        probabilities, all_units = p.copy(), units
        answered_by = np.zeros(len(p), np.int64)
        (deferred,) = (units < self._least_units[0]).nonzero()
        for position in range(1, len(self._models)):
            if not deferred.size:
                break
            p, units = self._run(position, X, deferred)
            probabilities = _to_hold(probabilities, p, position)
            probabilities[deferred], all_units[deferred] = p, units
            answered_by[deferred] = position
            deferred = deferred[units < self._least_units[position]]
        ran = self._ran.take(answered_by, axis=0)
        return Answers(probabilities, answered_by, to_confidence(all_units), ran)


class Routing(_Runner):
    """One model per sample, picked before it runs.

    Parameters
    ----------
    pick : callable
        From a batch of samples, or from the probe's probabilities, to indices of `models`.
    models : sequence of callable
        From a batch of samples to probabilities (n, n_classes).
    probe : int, optional
        Index of the model that runs first, and whose probabilities `pick` reads.
    threshold : float
        Where the picked model is less confident, the last one runs as well.
    signal : {"max_probability", "margin", "entropy"}
    call_size : int
        Samples of one call at most.
    """

    def __init__(
        self,
        pick: Callable[[Any], Array],
        models: Sequence[Model],
        probe: int | None = None,
        threshold: float = 0.0,
        signal: Signal = "max_probability",
        call_size: int = CALL_SIZE,
    ) -> None:
        if probe is not None and not 0 <= probe < len(models):
            raise ModelError(f"the probe must be one of {len(models)} models; got index {probe}")
        super().__init__(models, signal, call_size)
        self._pick, self._probe, self._threshold = pick, probe, threshold

    def __call__(self, X: Any) -> Answers:
        """Answer samples; ModelError for anything but probabilities or an index of a model."""
        if not len(X):
            raise ModelError("there must be one sample at least; got none")
        answers, last = _PartialAnswers(len(X), len(self._models)), len(self._models) - 1
        router_input = X
        if self._probe is not None:
            p, units = self._run(self._probe, X)
            answers.put(slice(None), self._probe, p, units)
            # As the router was fitted on them.
            router_input = round_probabilities(p).astype(np.float32, copy=False)
        picked = in_calls(self._pick, "router", router_input, None, self._call_size)
        self._check_indices(picked, len(X))
        for position in np.unique(picked).tolist():
            if position != self._probe:
                which = np.flatnonzero(picked == position)
                answers.put(which, position, *self._run(position, X, which))
        below = np.flatnonzero(answers.confidence < self._threshold)
        below = below[answers.answered_by[below] != last]
        if below.size:
            answers.put(below, last, *self._run(last, X, below))
        return answers.result()

    def _check_indices(self, picked: Array, n_samples: int) -> None:
        n_models = len(self._models)
        whole = picked.dtype.kind in "iu" and picked.shape == (n_samples,)
        if not whole or picked.min() < 0 or picked.max() >= n_models:
            which = f", from {picked.min()} to {picked.max()}" if whole else ""
            raise ModelError(
                f"a router must name one of {n_models} models for each of {n_samples} samples, by "
                f"its index; got {picked.dtype} of shape {picked.shape}{which}"
            )


class _PartialAnswers:
    """Answers that are filled in and overwritten model by model."""

    def __init__(self, n_samples: int, n_models: int) -> None:
        self.probabilities: Array | None = None
        self.answered_by = np.empty(n_samples, np.int64)
        self.confidence = np.empty(n_samples)
        self.ran = np.zeros((n_samples, n_models), bool)

    def put(self, which: Array | slice, position: int, p: Array, units: Array) -> None:
        if self.probabilities is None:
            self.probabilities = np.zeros((len(self.ran), p.shape[1]), p.dtype)
        self.probabilities = _to_hold(self.probabilities, p, position)
        self.probabilities[which] = p
        self.answered_by[which] = position
        self.confidence[which] = to_confidence(units)
        self.ran[which, position] = True

    def result(self) -> Answers:
        assert self.probabilities is not None
        return Answers(self.probabilities, self.answered_by, self.confidence, self.ran)


class Parallel:
    """A strategy on several cores: each worker answers a part of the samples.

    The answers are the same, as samples don't affect each other. What a model does outside Python
    (as ONNX Runtime does) runs side by side.

    Parameters
    ----------
    run : callable
        A `Cascade` or a `Routing`.
    workers : int
        Threads. Fewer are used where there would be less than one call for each.
    call_size : int
        Samples of one call at most.
    """

    def __init__(
        self, run: Callable[[Any], Answers], workers: int, call_size: int = CALL_SIZE
    ) -> None:
        self._run = run
        self._workers = workers
        self._call_size = call_size

    def __call__(self, X: Any) -> Answers:
        """Answer a batch of samples."""
        n_calls = -(-len(X) // self._call_size)
        workers = min(self._workers, n_calls)
        if workers <= 1:
            return self._run(X)
        # Whole calls each, so that no worker ends on a short one that another could have filled.
        ends = np.linspace(0, n_calls, workers + 1).round().astype(int) * self._call_size
        parts = [X[start:end] for start, end in pairwise(ends.tolist())]
        with ThreadPoolExecutor(workers) as threads:
            return Answers(*map(np.concatenate, zip(*threads.map(self._run, parts), strict=True)))


def _to_hold(probabilities: Array, p: Array, position: int) -> Array:
    """Probabilities in a type that holds those of one more model, of the same classes, exactly."""
    if p.shape[1] != probabilities.shape[1]:
        raise ModelError(
            f"returns probabilities of {p.shape[1]} classes, another one of "
            f"{probabilities.shape[1]}",
            "All models must know the same classes.",
            model=position,
        )
    if p.dtype == probabilities.dtype:
        return probabilities
    return probabilities.astype(np.promote_types(probabilities.dtype, p.dtype))
