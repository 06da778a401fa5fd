"""The strategies, executed: each model runs on the samples that still need an answer, no others.

A model is anything that is called with a batch of samples and gives their probabilities, so the
same engine serves ONNX graphs and scikit-learn classifiers. It decides exactly as the arithmetic
in `eco.cascading` and `eco.routing` does on stored probabilities, which are rounded alike.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from eco.confidence import confidence
from eco.errors import ModelError

Array = NDArray[Any]
Model = Callable[[Any], Array]
Signal = Literal["max_probability", "margin", "entropy"]

#: Samples given to a model in one call: what the caches of a core hold, and enough that the call
#: itself costs nothing. Measured, not assumed: see `energy.batch_sizes`.
CALL_SIZE = 256
#: What a confidence of 1 counts, which is kept to the fourth decimal: decisions compare whole
#: numbers of these marks, and confidences are made of them once at the end.
MARKS = np.float32(1e4)
#: By how much a row of probabilities may miss 1, or 0.
ROUNDING = 1e-3


class Answers(NamedTuple):
    """What a strategy answered, and at whose expense.

    ``probabilities``: (n_samples, n_classes) of the model that answered; ``answered_by``:
    (n_samples,) its index; ``confidence``: (n_samples,) its confidence; ``ran``: (n_samples,
    n_models) bool, which models ran.
    """

    probabilities: Array
    answered_by: Array
    confidence: Array
    ran: Array

    @property
    def labels(self) -> Array:
        """Index of the class that is answered, (n_samples,) int64; ties as stored ones are cut."""
        labels: Array = self.probabilities.round(4).argmax(axis=1)
        return labels


class Cascade:
    """Models in turn, each on the samples that the one before deferred.

    Parameters
    ----------
    models : sequence of callable
        From a batch of samples to probabilities (n, n_classes), in the order they are asked.
    thresholds : sequence of float
        One for each model: at or above it the answer is accepted. The last model answers
        whatever reaches it. A cascade of one model is that model alone.
    signal : {"max_probability", "margin", "entropy"}
    call_size : int
        Samples of one call at most.

    Examples
    --------
    >>> def unsure(X): return np.tile([0.6, 0.4], (len(X), 1))
    >>> def sure(X): return np.tile([0.1, 0.9], (len(X), 1))
    >>> answers = Cascade([unsure, sure], [0.9, 0.0])(np.zeros((2, 5)))
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
        _check(signal, call_size)
        self._models = models
        self._marks = [*map(_marks, thresholds[:-1]), -np.inf]
        self._signal: Signal = signal
        self._call_size = call_size
        n_models = len(models)
        #: Which models ran, by the one that answered.
        self._ran = np.tri(n_models, dtype=bool)

    def __call__(self, X: Any) -> Answers:
        """Answer a batch of samples.

        Raises
        ------
        ModelError
            If a model gives anything but probabilities.
        """
        return self._one(X) if len(X) == 1 else self._many(X)

    def _one(self, X: Any) -> Answers:
        """A single sample, for which the bookkeeping of a batch would cost more than a model."""
        before: Array | None = None
        for position, (model, enough) in enumerate(zip(self._models, self._marks, strict=True)):
            p, marks = _asked(model, position, X, None, self._signal, self._call_size)
            if before is not None:
                _check_classes(p, position, before)
            if marks[0] >= enough:
                break
            before = p
        at = np.array([position])
        return Answers(p, at, _confidence(marks), self._ran[at])

    def _many(self, X: Any) -> Answers:
        p, marks = _asked(self._models[0], 0, X, None, self._signal, self._call_size)
        # A copy: what is overwritten below may be the model's own array, or the samples themselves.
        probabilities, all_marks = p.copy(), marks
        answered_by = np.zeros(len(p), np.int64)
        (waiting,) = (marks < self._marks[0]).nonzero()
        for position in range(1, len(self._models)):
            if not waiting.size:
                break
            model, enough = self._models[position], self._marks[position]
            p, marks = _asked(model, position, X, waiting, self._signal, self._call_size)
            _check_classes(p, position, probabilities)
            probabilities[waiting], all_marks[waiting] = p, marks
            answered_by[waiting] = position
            waiting = waiting[marks < enough]
        ran = self._ran.take(answered_by, axis=0)
        return Answers(probabilities, answered_by, _confidence(all_marks), ran)


class Routing:
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
        Where the picked model is less confident, the last one is asked as well.
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
        _check(signal, call_size)
        self._pick = pick
        self._models = models
        self._probe = probe
        self._threshold = threshold
        self._signal: Signal = signal
        self._call_size = call_size

    def __call__(self, X: Any) -> Answers:
        """Answer a batch of samples.

        Raises
        ------
        ModelError
            If a model gives anything but probabilities, or `pick` an index that there isn't.
        """
        n_models, answers = len(self._models), None
        if not len(X):
            raise ModelError("there must be one sample at least; got none")
        if self._probe is not None:
            p, sure = self._ask(self._probe, X, None)
            answers = _begun(p, sure, n_models, self._probe)
        given = X if answers is None else p.round(4)  # as the router was shown them
        picked = _in_calls(self._pick, given, None, self._call_size)
        whole = picked.dtype.kind in "iu" and picked.shape == (len(X),)
        if not whole or picked.min() < 0 or picked.max() >= n_models:
            which = f", from {picked.min()} to {picked.max()}" if whole else ""
            raise ModelError(
                f"a router must name one of {n_models} models for each of {len(X)} samples, by "
                f"its index; got {picked.dtype} of shape {picked.shape}{which}"
            )
        for position in np.unique(picked):
            if position == self._probe:
                continue
            mine = np.flatnonzero(picked == position)
            p, sure = self._ask(int(position), X, mine)
            if answers is None:
                answers = _empty(len(X), p, n_models)
            _overwrite(answers, mine, int(position), p, sure)
        assert answers is not None
        unsure = np.flatnonzero(answers.confidence < self._threshold)
        unsure = unsure[answers.answered_by[unsure] != n_models - 1]
        if unsure.size:
            p, sure = self._ask(n_models - 1, X, unsure)
            _overwrite(answers, unsure, n_models - 1, p, sure)
        return answers

    def _ask(self, position: int, X: Array, which: Array | None) -> tuple[Array, Array]:
        model, call_size = self._models[position], self._call_size
        p, marks = _asked(model, position, X, which, self._signal, call_size)
        return p, _confidence(marks)


class OnWorkers:
    """A strategy on several cores: each worker answers a part of the samples.

    Samples don't affect each other, so the answers are the same, and so is the work to be done:
    it is over sooner. What a model does outside Python (as ONNX Runtime does) runs side by side.

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
        """Answer a batch of samples; raises what the strategy raises."""
        n_calls = -(-len(X) // self._call_size)
        workers = min(self._workers, n_calls)
        if workers <= 1:
            return self._run(X)
        # Whole calls each, so that no worker ends on a short one that another could have filled.
        ends = np.linspace(0, n_calls, workers + 1).round().astype(int) * self._call_size
        parts = [X[start:end] for start, end in pairwise(ends.tolist())]
        with ThreadPoolExecutor(workers) as threads:
            return Answers(*map(np.concatenate, zip(*threads.map(self._run, parts), strict=True)))


def _asked(
    model: Model, position: int, X: Array, which: Array | None, signal: Signal, call_size: int
) -> tuple[Array, Array]:
    """Probabilities of one model for some of the samples, and the marks of its confidence.

    The confidence is that in probabilities as they are rounded for the files.
    """
    n_samples = len(X) if which is None else len(which)
    if not n_samples:
        raise ModelError("there must be one sample at least; got none")
    p = _in_calls(model, X, which, call_size)
    if p.ndim != 2 or len(p) != n_samples or p.shape[1] < 2:
        raise ModelError(
            f"model {position} must give a row of probabilities for each of {n_samples} samples; "
            f"got shape {p.shape}"
        )
    p = p if p.dtype == np.float32 else p.astype(np.float32)
    if n_samples == 1:
        # One row in Python's numbers: for a few classes that is faster than calls of NumPy.
        row = p[0].tolist()
        fits = abs(sum(row) - 1) <= ROUNDING and min(row) >= -ROUNDING
        largest = np.array([max(row)], np.float32)
    else:
        # A transposed copy: along short rows NumPy takes far longer.
        by_class = np.ascontiguousarray(p.T)
        off = np.add.reduce(by_class, initial=-1)
        # All at once where that settles it, which are fewer calls of NumPy; else one by one.
        fits = bool(off.dot(off) <= ROUNDING**2 or np.abs(off).max() <= ROUNDING)
        fits = fits and bool(np.minimum.reduce(p, axis=None) >= -ROUNDING)
        largest = np.maximum.reduce(by_class)
    if not fits:  # NaN fits nothing
        _refuse(p, position)
    if signal != "max_probability":
        return p, np.rint(confidence(p.round(4)[:, None], signal)[:, 0] * MARKS)
    # The largest of rounded numbers is the largest one, rounded.
    largest *= MARKS
    return p, np.rint(largest, out=largest)


def _marks(threshold: float) -> float:
    """The fewest marks of a confidence that reaches a threshold."""
    if not math.isfinite(threshold):
        return threshold
    marks = math.floor(threshold * float(MARKS))
    marks += marks / float(MARKS) < threshold
    return marks if marks <= MARKS else math.inf


def _confidence(marks: Array) -> Array:
    """Confidences in [0, 1], float64, of their marks."""
    return np.minimum(marks, MARKS) / np.float64(MARKS)


def _refuse(p: Array, position: int) -> None:
    row = int(np.maximum(abs(p.sum(axis=1) - 1), -p.min(axis=1)).argmax())  # the first NaN, if any
    raise ModelError(
        f"model {position} must give probabilities, rows of numbers from 0 to 1 that sum to 1; "
        f"row {row} is {p[row].astype(np.float64).round(4).tolist()}. Give it a predict_proba, or "
        "a softmax at its end"
    )


def _in_calls(model: Model, X: Array, which: Array | None, call_size: int) -> Array:
    n_samples = len(X) if which is None else len(which)
    if n_samples <= call_size:
        return np.asarray(model(X if which is None else _gathered(X, which)))
    # Samples are gathered call by call, and answers copied together at once: what a call needs
    # lies where that of the last one lay, which is still in the caches.
    answers = None
    for start in range(0, n_samples, call_size):
        call = slice(start, start + call_size)
        part = np.asarray(model(X[call] if which is None else _gathered(X, which[call])))
        if answers is None:
            answers = np.empty((n_samples, *part.shape[1:]), part.dtype)
        if part.shape != answers[call].shape:
            raise ModelError(
                "a model, and a router, must give one answer for each sample, all of one form; "
                f"got shape {part.shape} where {answers[call].shape} was expected"
            )
        answers[call] = part
    assert answers is not None
    return answers


def _gathered(X: Any, which: Array) -> Any:
    # Of whole images `take` makes a copy sooner: in four fifths of the time for 256 of them, in a
    # quarter for 60.
    return X.take(which, axis=0) if isinstance(X, np.ndarray) else X[which]


def _begun(p: Array, sure: Array, n_models: int, position: int = 0) -> Answers:
    ran = np.zeros((len(p), n_models), bool)
    ran[:, position] = True
    # A copy: what is overwritten later may be the model's own array, or the samples themselves.
    return Answers(p.copy(), np.full(len(p), position), sure, ran)


def _empty(n_samples: int, p: Array, n_models: int) -> Answers:
    return Answers(
        np.empty((n_samples, p.shape[1]), p.dtype),
        np.empty(n_samples, np.int64),
        np.empty(n_samples),
        np.zeros((n_samples, n_models), bool),
    )


def _check(signal: str, call_size: int) -> None:
    if signal not in get_args(Signal):
        raise ModelError(f"signal must be one of {', '.join(get_args(Signal))}; got {signal!r}")
    if call_size < 1:
        raise ModelError(f"call_size must be 1 or more; got {call_size}")


def _check_classes(p: Array, position: int, others: Array) -> None:
    if p.shape[1] != others.shape[1]:
        raise ModelError(
            f"all models must tell the same classes apart; model {position} gives probabilities "
            f"of {p.shape[1]}, another of {others.shape[1]}"
        )


def _overwrite(answers: Answers, where: Array, position: int, p: Array, sure: Array) -> None:
    _check_classes(p, position, answers.probabilities)
    answers.probabilities[where] = p
    answers.answered_by[where] = position
    answers.confidence[where] = sure
    answers.ran[where, position] = True
