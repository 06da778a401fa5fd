"""Cascades and routers of any classifiers, as scikit-learn estimators.

For models and data of one's own: nothing here knows of params.yaml or of files. What is tuned or
certified is so by `eco.tuning` and `eco.certification`, on samples that no model was fitted on;
what is answered is so by `eco.engine`, and `explain` says at what expense.
"""

import re
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, _safe_indexing, check_random_state, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    process_routing,
)
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_method_params,
    _num_samples,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from eco.cascading import run_cascade
from eco.certification import certified_up_to, harms, samples_needed
from eco.confidence import confidence, correct
from eco.engine import Answers, Cascade, Routing, Signal
from eco.errors import ModelError, TargetError
from eco.routing import PRICES, Policy, priced_choice, run_policy
from eco.scoring import misordered
from eco.tuning import Setting, for_target, frontier, scored, undominated

Array = NDArray[Any]

#: Samples given to a classifier in one call, when it answers and when it is measured: a call of
#: scikit-learn's costs more than one of ONNX Runtime's, a forest's for each of its trees.
CALL_SIZE = 2048
#: Relative half-width of its 95 % interval at which a measured energy is narrow enough.
HALF_WIDTH = 0.05
#: As `energy.drift` of the study: by how much later runs may differ beyond their rounds.
DRIFT = 0.1


@dataclass(frozen=True)
class _Rows:
    """Samples in any container that scikit-learn takes, as the engine takes arrays."""

    X: Any

    def __len__(self) -> int:
        return int(_num_samples(self.X))

    def __getitem__(self, where: Any) -> "_Rows":
        return _Rows(_safe_indexing(self.X, where))


def _ask(model: Any, rows: _Rows) -> Any:
    return model.predict_proba(rows.X)


class _Strategy(ClassifierMixin, MetaEstimatorMixin, _BaseComposition):  # type: ignore[misc]
    """What cascades and routers share: a pool that is fitted, asked and paid for."""

    estimators: list[tuple[str, Any]]
    energies: Any
    signal: Signal
    max_accuracy_loss: float
    energy_budget: float | None
    prefit: bool
    holdout: float
    watts_per_core: float
    measure_s: float
    random_state: Any

    _fewest: ClassVar[int] = 1
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": [list],
        "energies": [StrOptions({"cpu_time", "measured"}), "array-like"],
        "signal": [StrOptions({"max_probability", "margin", "entropy"})],
        "max_accuracy_loss": [Interval(Real, 0, 100, closed="both")],
        "energy_budget": [Interval(Real, 0, None, closed="neither"), None],
        "prefit": ["boolean"],
        "holdout": [Interval(RealNotInt, 0, 1, closed="neither")],
        "watts_per_core": [Interval(Real, 0, None, closed="neither")],
        "measure_s": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _execution(self) -> tuple[Callable[[Any], Answers], list[str]]:
        """The strategy as the engine runs it, and the names of the models it may ask."""

    @abstractmethod
    def _selector_j(self) -> float:
        """J per sample of what picks the model."""

    def predict(self, X: Any) -> Array:
        """Label of each sample, by the model that answers it.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Whatever the models take.

        Returns
        -------
        array of shape (n_samples,)

        Raises
        ------
        ValueError
            If `X` doesn't suit the models, or one of them gives anything but probabilities.
        """
        answers, _ = self._answered(X)
        return self.classes_[answers.labels]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, by the model that answers.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_classes), float64
            Rounded to four decimals, as thresholds compare them, and scaled to sum to 1.
        """
        p = self._answered(X)[0].probabilities.round(4).astype(np.float64)
        return p / p.sum(axis=1, keepdims=True)

    def explain(self, X: Any) -> pd.DataFrame:
        """What each sample is answered, by whom, how surely, and at whose expense.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        DataFrame of n_samples rows, indexed as `X` if that is one
            ``label``; ``answered_by``, name of the model; ``confidence`` of that model, in
            [0, 1]; ``energy_j``, J of every model that ran on the sample, those included whose
            answer was discarded, and of the router; ``models_run``, how many models ran.
        """
        answers, names = self._answered(X)
        positions = [list(self.named_estimators_).index(name) for name in names]
        columns = {
            "label": self.classes_[answers.labels],
            "answered_by": np.array(names, object)[answers.answered_by],
            "confidence": answers.confidence,
            "energy_j": answers.ran @ self.energies_[positions] + self._selector_j(),
            "models_run": answers.ran.sum(axis=1),
        }
        return pd.DataFrame(columns, getattr(X, "index", None) if hasattr(X, "iloc") else None)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the strategy and, if `deep`, of its models by name."""
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> "_Strategy":
        """Set parameters of the strategy or of a model: ``name``, or ``name__parameter``."""
        self._set_params("estimators", **params)
        return self

    def get_metadata_routing(self) -> Any:
        """Metadata, such as sample weights, that `fit` passes on to each model that wants it."""
        router = MetadataRouter(owner=self)
        for name, model in self.estimators:
            mapping = MethodMapping().add(caller="fit", callee="fit")
            router.add(**{name: model}, method_mapping=mapping)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        pairs = self.estimators if isinstance(self.estimators, list) else []
        models = [pair[-1] for pair in pairs if isinstance(pair, tuple)]
        inputs = [get_tags(m).input_tags for m in models if hasattr(m, "__sklearn_tags__")]
        tags.input_tags.sparse = all(one.sparse for one in inputs)
        tags.input_tags.allow_nan = all(one.allow_nan for one in inputs)
        return tags

    @property
    def _ready(self) -> bool:
        """Whether every model was fitted beforehand."""
        return self.prefit or all(isinstance(m, FrozenEstimator) for _, m in self.estimators)

    def _answered(self, X: Any) -> tuple[Answers, list[str]]:
        check_is_fitted(self)
        if getattr(X, "ndim", 2) == 1 and hasattr(self, "n_features_in_"):
            raise ValueError(
                f"X must hold a row of {self.n_features_in_} features per sample; got a 1D array. "
                "Reshape your data: X.reshape(1, -1) if it is a single sample."
            )
        (X,) = indexable(validate_data(self, X, reset=False, skip_check_array=True))
        _check_not_empty(X)
        run, names = self._execution()
        try:
            return run(_Rows(X)), names
        except ModelError as error:
            raise ValueError(_by_name(error, names)) from None

    def _checked(self, X: Any, y: Any, params: dict[str, Any]) -> tuple[Any, Array]:
        """The samples and labels to fit on, after every check that costs nothing."""
        self._check_estimators()
        self._check_energies()
        _raise_for_params(params, self, "fit")
        for stale in ("frontier_", "measurement_"):  # an earlier fit may have left them
            self.__dict__.pop(stale, None)
        # The features are the models' own business: they may be text, images or missing.
        X, y = indexable(*validate_data(self, X, y, skip_check_array=True))
        _check_not_empty(X)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(np.unique(y)) < 2:
            raise ValueError(
                f"y must hold 2 classes at least; got 1 class, {y.tolist()[0]!r}. Give samples of "
                "others."
            )
        return X, y

    def _check_estimators(self) -> None:
        pairs = self.estimators
        if len(pairs) < self._fewest or not all(
            isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            for pair in pairs
        ):
            raise ValueError(
                f"estimators must be a list of {self._fewest} or more (name, classifier) tuples, "
                f"from light to heavy; got {pairs!r}"
            )
        self._validate_names([name for name, _ in pairs])
        wanted = ["predict_proba"] if self.prefit else ["fit", "predict_proba"]
        for name, model in pairs:
            if isinstance(model, type) or not HasMethods(wanted).is_satisfied_by(model):
                raise ValueError(
                    f"estimators: {name!r} must be a classifier with {' and '.join(wanted)}; got "
                    f"{model!r}. CalibratedClassifierCV gives one without probabilities a "
                    "predict_proba."
                )

    def _check_energies(self) -> None:
        if isinstance(self.energies, str):
            return
        given = np.asarray(self.energies, float)
        if given.shape != (len(self.estimators),) or not (np.isfinite(given) & (given > 0)).all():
            raise ValueError(
                f"energies must be {len(self.estimators)} positive numbers, J per sample of each "
                f"estimator in turn; got {self.energies!r}. Or let fit find them: 'cpu_time' or "
                "'measured'."
            )

    def _split(self, y: Array, n_parts: int) -> list[Array]:
        """Row numbers of the samples to fit on, and of the parts that are held out."""
        rows, random = np.arange(len(y)), check_random_state(self.random_state)
        if not n_parts:
            return [rows]
        if self._ready:
            return [rows[:0], *np.array_split(random.permutation(rows), n_parts)]
        size = max(1, round(self.holdout * len(y) / n_parts))
        apart = []
        if n_parts == 2:
            # Plainly at random: a certificate takes samples that are independent of each other.
            rows, last = train_test_split(rows, test_size=size, random_state=random)
            apart = [last]
        return [*self._stratified(y, rows, size, n_parts, random), *apart]

    def _stratified(
        self, y: Array, rows: Array, size: int, n_parts: int, random: Any
    ) -> list[Array]:
        """The rows in two, `size` of them in the second, with every class of `y` in both."""
        labels, counts = np.unique(y[rows], return_counts=True)
        parts = [rows[:0], rows]
        if counts.min() > 1 and len(labels) <= size <= len(rows) - len(labels):
            parts = train_test_split(rows, test_size=size, stratify=y[rows], random_state=random)
        labels, counts = np.unique(y, return_counts=True)
        if all(np.isin(labels, y[part]).all() for part in parts):
            return parts
        share = min(self.holdout / n_parts, 1 - self.holdout)
        raise ValueError(
            "every class must be among the samples that the models are fitted on and among those "
            f"held out; got {len(y)} samples, of class {labels.tolist()[counts.argmin()]!r} only "
            f"{counts.min()}, and holdout={self.holdout} in {n_parts} part(s). Give "
            f"{int(np.ceil(n_parts / share))} samples of each class, or so, or change holdout."
        )

    def _fit_pool(self, X: Any, y: Array, train: Array, params: dict[str, Any]) -> Array:
        """Fit the models, where they aren't; the index of each label among their classes."""
        names, models = map(list, zip(*self.estimators, strict=True))
        if not self._ready:
            routed = process_routing(self, "fit", **params)
            X_train, y_train = _safe_indexing(X, train), y[train]
            models = [
                clone(model).fit(
                    X_train, y_train, **_check_method_params(X, routed[name].fit, indices=train)
                )
                for name, model in self.estimators
            ]
        self.estimators_ = models
        self.named_estimators_ = Bunch(**dict(zip(names, models, strict=True)))
        self.classes_ = _shared_classes(self.named_estimators_)
        labels: Array = pd.Index(self.classes_).get_indexer(y)
        if labels.min() < 0:
            raise ValueError(
                f"y must hold classes that the estimators know, {self.classes_.tolist()}; got "
                f"{np.unique(y[labels < 0]).tolist()} as well"
            )
        unseen = np.setdiff1d(self.classes_, y)
        if unseen.size:
            warnings.warn(
                f"none of the samples held out is of class {unseen.tolist()}: what is found on "
                "them says nothing of it",
                UserWarning,
                stacklevel=4,
            )
        return labels

    def _outcomes(self, X: Any, rows: Array) -> Array:
        """Probabilities of every model, (n_samples, n_models, n_classes), as the engine reads."""
        given: Any = _Rows(_safe_indexing(X, rows))
        outcomes = []
        for name, model in self.named_estimators_.items():
            try:
                alone = Cascade([partial(_ask, model)], [0.0], self.signal, CALL_SIZE)
                p = alone(given).probabilities.round(4)
            except ModelError as error:
                raise ValueError(_by_name(error, [name])) from None
            if p.shape[1] != len(self.classes_):
                raise ValueError(
                    f"estimator {name!r} must give {len(self.classes_)} probabilities, one for "
                    f"each of its classes; got {p.shape[1]}"
                )
            outcomes.append(p)
        return np.stack(outcomes, axis=1)

    def _pool_calls(self, X: Any, rows: Array) -> list[tuple[str, Callable[[], Any]]]:
        """A call of each model, on as many samples as the engine gives it at once."""
        batch = _Rows(_safe_indexing(X, np.resize(rows, CALL_SIZE)))
        return [(name, partial(_ask, m, batch)) for name, m in self.named_estimators_.items()]

    def _joules(self, calls: Sequence[tuple[str, Callable[[], Any]]]) -> Array:
        """J per sample of calls of `CALL_SIZE` samples, read as ``energies`` says."""
        # On one core, as the workflow measures: what waits for other threads would be billed too.
        with threadpool_limits(1):
            if self.energies == "measured":
                self.measurement_ = _measured(calls, self.watts_per_core, self.measure_s)
                return np.array([row["energy_j"] for row in self.measurement_["measurements"]])
            seconds = [_cpu_s(call) for _, call in calls]
        joules = self.watts_per_core * np.array(seconds) / CALL_SIZE
        if not joules.all():
            raise ValueError(
                "energies='cpu_time' takes a CPU clock that is finer than one call of "
                f"{CALL_SIZE} samples; this machine's read 0 s. Set energies='measured'."
            )
        return joules

    def _warn_if_misordered(self) -> None:
        for pair in misordered(self.energies_, list(self.named_estimators_)):
            warnings.warn(
                f"estimators go from light to heavy, but {pair}", UserWarning, stacklevel=5
            )

    def _meeting(self, points: Sequence[Setting], right: Array) -> Setting:
        """The point of a frontier that meets the target."""
        target = "max_accuracy_loss" if self.energy_budget is None else "energy_budget"
        limits = self.max_accuracy_loss, self.energy_budget or 0.0
        reference, reference_j = float(right[:, -1].mean()), float(self.energies_[-1])
        try:
            return for_target(points, target, *limits, reference, reference_j)
        except TargetError as error:
            # Its last sentence tells how to mend params.yaml, which has no part in this.
            what, _, _ = str(error).partition(" Raise ")
            raise ValueError(f"{what} Raise {target}.") from None


class CascadeClassifier(_Strategy):
    """Classifiers in turn from light to heavy, until one is confident enough.

    Every model that ran on a sample is paid for, not only the one that answered.

    Parameters
    ----------
    estimators : list of (str, classifier)
        From light to heavy. Classifiers with ``predict_proba``; the last is the reference that
        the losses are counted from. They are cloned and fitted on the samples that aren't held
        out, unless all of them are `sklearn.frozen.FrozenEstimator` or `prefit` is true.
    thresholds : {"tuned", "certified"} or list of float
        At or above its threshold a model's answer is accepted, below it the sample is deferred
        to the next model. Numbers: one in [0, 1] for each estimator, the last 0.0; nothing is held
        out then. "tuned": the cheapest chain of some of the estimators and its thresholds that
        meet `max_accuracy_loss`, or the most accurate within `energy_budget`, on held-out samples.
        "certified": the cheapest that harms at most `max_harm`, with probability 1 - `delta`.
    energies : {"cpu_time", "measured"} or list of float
        J per sample of each estimator. Numbers: what you measured, in any unit as long as it is
        one. "cpu_time": least CPU time of some calls of 2,048 samples x `watts_per_core`, taken
        within the fit: an estimate from a nominal wattage, whose ratios rather than joules are
        to be relied on, and which varies by some per cent from fit to fit. "measured": by
        CodeCarbon in repeated windows, with intervals, which takes seconds per model.
        Both hold numerical libraries to one thread, and see this process alone: where a model
        starts processes, give numbers.
        Chains and thresholds that are tuned depend on it: where a fit must be repeatable to the
        letter, give numbers.
    signal : {"max_probability", "margin", "entropy"}
        Confidence of a model: see `eco.confidence.confidence`.
    max_accuracy_loss : float
        Percentage points of accuracy below the last model's, on the held-out samples. For
        "tuned". On new samples it may be more, the more so the fewer were held out: what holds
        there as well is "certified".
    energy_budget : float, optional
        Share of the last model's energy; given, it takes the place of `max_accuracy_loss`.
    max_harm : float
        Percentage points of samples on which the last model is right and the cascade isn't. For
        "certified", which looks at neither `max_accuracy_loss` nor `energy_budget`.
    delta : float
        Probability with which the certificate may be wrong.
    prefit : bool
        The estimators are fitted, by anyone: each has ``predict_proba`` and ``classes_``. All of
        the samples given to `fit` count as held out: give samples that no model was fitted on.
        `clone`, and so cross-validation, unfits them; it leaves a `FrozenEstimator` fitted.
    holdout : float
        Share of the samples that is held out for tuning, half of it each for tuning and for
        certifying. The models aren't fitted anew afterwards: their confidences would change.
    settings_per_chain : int
        Settings tried of each chain, see `eco.tuning.frontier`.
    watts_per_core : float
        Watts of a busy core where no hardware counter is read: joules scale with it, ratios don't.
    measure_s : float
        Seconds after which a measurement begins no further round.
    random_state : int, RandomState instance or None
        Of the split.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    chain_ : list of str
        Names of the models that are asked, in turn.
    thresholds_ : list of float
        One for each model of `chain_`.
    energies_ : array of shape (n_estimators,)
        J per sample of each estimator alone.
    frontier_ : DataFrame
        The cascades that no other one beats on the held-out samples: ``chain``, ``thresholds``,
        ``energy_j`` per sample, ``energy_share`` of the last model's, and ``accuracy``. Certified:
        ``harm`` in its place, ``harmed`` samples out of those of the certificate, and whether the
        setting is ``certified``. Only where thresholds aren't given.
    estimators_ : list of classifier
        Fitted; those outside `chain_` as well.
    named_estimators_ : Bunch
    measurement_ : dict
        Readings, intervals and provenance: see `eco.energy.measure`. Only if measured.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features_in_,)

    Notes
    -----
    Certificates are those of Learn then Test (Angelopoulos et al. 2021), and hold for samples
    drawn as those given to `fit` were.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> pool = [("light", GaussianNB()), ("heavy", ExtraTreesClassifier(random_state=0))]
    >>> cascade = CascadeClassifier(pool, thresholds=[0.99, 0.0], energies=[1.0, 20.0]).fit(X, y)
    >>> cascade.explain(X[:1]).columns.tolist()
    ['label', 'answered_by', 'confidence', 'energy_j', 'models_run']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = _Strategy._parameter_constraints | {
        "thresholds": [StrOptions({"tuned", "certified"}), "array-like"],
        "max_harm": [Interval(Real, 0, 100, closed="neither")],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "settings_per_chain": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        thresholds: Any = "tuned",
        *,
        energies: Any = "cpu_time",
        signal: Signal = "max_probability",
        max_accuracy_loss: float = 0.5,
        energy_budget: float | None = None,
        max_harm: float = 0.5,
        delta: float = 0.05,
        prefit: bool = False,
        holdout: float = 0.2,
        settings_per_chain: int = 10_000,
        watts_per_core: float = 4.0,
        measure_s: float = 30.0,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.thresholds = thresholds
        self.energies = energies
        self.signal = signal
        self.max_accuracy_loss = max_accuracy_loss
        self.energy_budget = energy_budget
        self.max_harm = max_harm
        self.delta = delta
        self.prefit = prefit
        self.holdout = holdout
        self.settings_per_chain = settings_per_chain
        self.watts_per_core = watts_per_core
        self.measure_s = measure_s
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, **params: Any) -> "CascadeClassifier":
        """Fit the models, find what each costs, and set the thresholds.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Whatever the models take.
        y : array-like of shape (n_samples,)
        **params : dict
            Passed on to the models' `fit` by scikit-learn's metadata routing, where it is on.

        Raises
        ------
        ValueError
            If a parameter, `X` or `y` isn't what it must be, the samples are too few, or no
            cascade meets the target: the message says what can be met.
        """
        X, y = self._checked(X, y, params)
        given = None if isinstance(self.thresholds, str) else self._given_thresholds()
        train, *held_out = self._split(y, {"tuned": 1, "certified": 2}.get(str(self.thresholds), 0))
        if self.thresholds == "certified":
            self._check_certifiable(len(held_out[1]))
        labels = self._fit_pool(X, y, train, params)
        tuning = held_out[0] if held_out else train[:CALL_SIZE]
        p = self._outcomes(X, tuning)
        self.energies_ = self._energies(X, tuning)
        if given is not None:
            found = Setting(tuple(range(len(given))), tuple(given), np.nan, np.nan)
        elif self.thresholds == "tuned":
            found = self._tuned(p, labels[tuning])
        else:
            fresh = self._outcomes(X, held_out[1])
            found = self._certified(p, labels[tuning], fresh, labels[held_out[1]])
        self.chain_ = [self.estimators[i][0] for i in found.chain]
        self.thresholds_ = list(found.thresholds)
        return self

    def _execution(self) -> tuple[Callable[[Any], Answers], list[str]]:
        models = [partial(_ask, self.named_estimators_[name]) for name in self.chain_]
        return Cascade(models, self.thresholds_, self.signal, CALL_SIZE), self.chain_

    def _selector_j(self) -> float:
        return 0.0

    def _energies(self, X: Any, rows: Array) -> Array:
        given = self.energies if not isinstance(self.energies, str) else None
        joules = self._joules(self._pool_calls(X, rows)) if given is None else given
        self.energies_ = np.array(joules, float)
        self._warn_if_misordered()
        return self.energies_

    def _given_thresholds(self) -> list[float]:
        given = np.asarray(self.thresholds, float)
        if given.shape != (len(self.estimators),) or not (
            ((given >= 0) & (given <= 1)).all() and given[-1] == 0
        ):
            raise ValueError(
                f"thresholds must be {len(self.estimators)} numbers from 0 to 1, one for each "
                f"estimator, the last of them 0.0; got {self.thresholds!r}. Or let fit find them: "
                "'tuned' or 'certified'."
            )
        return given.tolist()

    def _check_certifiable(self, n_samples: int) -> None:
        needed = samples_needed(self.max_harm / 100, self.delta)
        if n_samples < needed:
            share = (1 if self._ready else self.holdout) / 2
            raise ValueError(
                f"to certify harm of at most {self.max_harm:g} points with probability "
                f"{1 - self.delta:.10g} takes {needed} samples; there are {n_samples}, half of "
                f"those held out. Give {int(np.ceil((needed + 0.5) / share))} samples in all, or "
                "raise max_harm, delta or holdout."
            )

    def _tuned(self, p: Array, labels: Array) -> Setting:
        right, sure = correct(p, labels), confidence(p, self.signal)
        found = frontier(sure, right, self.energies_, self.settings_per_chain)
        self.frontier_ = self._table(found)
        return self._meeting(found, right)

    def _certified(self, p: Array, labels: Array, fresh: Array, fresh_labels: Array) -> Setting:
        """The cheapest setting whose harm is certified; the last model alone always is."""
        right, sure = correct(p, labels), confidence(p, self.signal)
        # Where the last model is wrong itself nothing can be harmed.
        unharmed = right | ~right[:, -1:]
        found = frontier(sure, unharmed, self.energies_, self.settings_per_chain)[::-1]
        last = len(self.energies_) - 1
        if found[0].chain != (last,):
            found.insert(0, scored((last,), (0.0,), sure, unharmed, self.energies_))
        right, sure = correct(fresh, fresh_labels), confidence(fresh, self.signal)
        harmed = []
        for setting in found:
            by, _ = run_cascade(sure, np.array(setting.chain), np.array(setting.thresholds))
            harmed.append(int(harms(right[np.arange(len(by)), by], right[:, -1]).sum()))
        bound = np.array([self.max_harm / 100])
        reached = int(certified_up_to(np.array(harmed), len(fresh), bound, self.delta)[0])
        table = self._table(found).rename(columns={"accuracy": "harm"})
        certified = np.arange(len(found)) < reached
        self.frontier_ = table.assign(harm=1 - table["harm"], harmed=harmed, certified=certified)
        # Where rounding certifies nothing, the first: the last model alone, which harms nothing.
        return found[max(reached, 1) - 1]

    def _table(self, settings: Sequence[Setting]) -> pd.DataFrame:
        names = list(self.named_estimators_)
        table = pd.DataFrame([s.row(names) for s in settings]).rename(columns={"models": "chain"})
        return table.assign(energy_share=table["energy_j"] / self.energies_[-1])


class RoutingClassifier(_Strategy):
    """One classifier per sample, picked before it runs by a router that is paid for as well.

    The router predicts for every model the probability that it is right, and the sample goes to
    the best P(correct) - price x share of the last model's energy. Where a probe is named, that
    model runs first, on every sample, and the router reads its probabilities instead of `X`; if
    the probe is picked, its answer stands.

    Parameters
    ----------
    estimators : list of (str, classifier)
        Two or more, from light to heavy: as in `CascadeClassifier`.
    router : multi-label classifier, optional
        With ``predict_proba``; cloned and fitted on held-out samples, to a column per estimator
        of whether it is right. By default a network of one small hidden layer on standardised
        features, which takes numbers; for text, images or a table of mixed columns give a
        pipeline, or name a probe.
    price : "tuned" or float
        Probability of being right given up to save the energy of one run of the last model.
        "tuned": the one that meets `max_accuracy_loss` at least energy, or the most accurate
        within `energy_budget`, on held-out samples that the router wasn't fitted on.
    probe : str, optional
        Name of the estimator that runs first; not the last one.
    energies : {"cpu_time", "measured"} or list of float
        As in `CascadeClassifier`; the router's energy is found along with the models'.
    router_energy : float, optional
        J per sample of the router: where `energies` are numbers, and only there.
    signal : {"max_probability", "margin", "entropy"}
        What `explain` gives as confidence.
    max_accuracy_loss, energy_budget
        As in `CascadeClassifier`; a router can miss either, as it never knows for sure.
    prefit : bool
        As in `CascadeClassifier`, of the estimators; the router is always fitted.
    holdout : float
        Share of the samples that no model is fitted on: the router is, or with a tuned price on
        half of it, the other half being for the price.
    watts_per_core, measure_s
        As in `CascadeClassifier`.
    random_state : int, RandomState instance or None
        Of the split, and of the default router.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    price_ : float
    router_ : multi-label classifier
        Fitted.
    energies_ : array of shape (n_estimators,)
        J per sample of each estimator alone.
    router_energy_ : float
        J per sample.
    frontier_ : DataFrame
        The prices that no other one beats on the held-out samples: ``price``, ``accuracy``,
        ``energy_j`` per sample, router included, and ``energy_share`` of the last model's. Only
        if tuned.
    estimators_, named_estimators_, measurement_, n_features_in_, feature_names_in_
        As in `CascadeClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> pool = [("light", GaussianNB()), ("heavy", ExtraTreesClassifier(random_state=0))]
    >>> routing = RoutingClassifier(pool, price=0.1, energies=[1.0, 20.0], router_energy=0.5)
    >>> set(routing.fit(X, y).explain(X)["energy_j"]) <= {1.5, 20.5}
    True
    """

    _fewest: ClassVar[int] = 2
    _parameter_constraints: ClassVar[dict[str, Any]] = _Strategy._parameter_constraints | {
        "router": [HasMethods(["fit", "predict_proba"]), None],
        "price": [StrOptions({"tuned"}), Interval(Real, 0, None, closed="left")],
        "probe": [str, None],
        "router_energy": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        router: Any = None,
        *,
        price: Any = "tuned",
        probe: str | None = None,
        energies: Any = "cpu_time",
        router_energy: float | None = None,
        signal: Signal = "max_probability",
        max_accuracy_loss: float = 0.5,
        energy_budget: float | None = None,
        prefit: bool = False,
        holdout: float = 0.4,
        watts_per_core: float = 4.0,
        measure_s: float = 30.0,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.router = router
        self.price = price
        self.probe = probe
        self.energies = energies
        self.router_energy = router_energy
        self.signal = signal
        self.max_accuracy_loss = max_accuracy_loss
        self.energy_budget = energy_budget
        self.prefit = prefit
        self.holdout = holdout
        self.watts_per_core = watts_per_core
        self.measure_s = measure_s
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, **params: Any) -> "RoutingClassifier":
        """Fit the models, then the router on what they get right, and set the price.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            Whatever the models and the router take.
        y : array-like of shape (n_samples,)
        **params : dict
            Passed on to the models' `fit` by scikit-learn's metadata routing, where it is on.

        Raises
        ------
        ValueError
            If a parameter, `X` or `y` isn't what it must be, the samples are too few, or no
            price meets the target: the message says what can be met.
        """
        X, y = self._checked(X, y, params)
        self._check_selector()
        train, learning, *held_out = self._split(y, 2 if self.price == "tuned" else 1)
        labels = self._fit_pool(X, y, train, params)
        p = self._outcomes(X, learning)
        given = self._read(X, learning, p)
        self.router_ = self._fitted_router(given, correct(p, labels[learning]))
        self._scores(_safe_indexing(given, np.arange(1)))  # one that can't score is told so now
        self._set_energies(X, learning, given)
        if held_out:
            self.price_ = self._tuned_price(X, held_out[0], labels[held_out[0]])
        else:
            self.price_ = float(self.price)
        return self

    def _execution(self) -> tuple[Callable[[Any], Answers], list[str]]:
        models = [partial(_ask, model) for model in self.estimators_]
        return (
            Routing(self._pick, models, self._probe_at, signal=self.signal, call_size=CALL_SIZE),
            list(self.named_estimators_),
        )

    def _selector_j(self) -> float:
        return self.router_energy_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.probe is None:
            reads = get_tags(_default_router(0) if self.router is None else self.router).input_tags
            tags.input_tags.sparse &= reads.sparse and self.router is not None
            tags.input_tags.allow_nan &= reads.allow_nan
        return tags

    @property
    def _probe_at(self) -> int | None:
        names = [name for name, _ in self.estimators]
        return None if self.probe is None else names.index(self.probe)

    def _check_selector(self) -> None:
        names = [name for name, _ in self.estimators]
        if self.probe is not None and self.probe not in names[:-1]:
            raise ValueError(
                f"probe must be one of the estimators, {names}, but the last, after which none "
                f"is left to ask; got {self.probe!r}"
            )
        if isinstance(self.energies, str) != (self.router_energy is None):
            raise ValueError(
                "router_energy must be given, in J per sample, where energies are numbers, and "
                f"only there; got router_energy={self.router_energy!r} and "
                f"energies={self.energies!r}"
            )

    def _read(self, X: Any, rows: Array, p: Array) -> Any:
        """What the router reads of samples: themselves, or the probe's probabilities."""
        return _safe_indexing(X, rows) if self._probe_at is None else p[:, self._probe_at]

    def _fitted_router(self, given: Any, right: Array) -> Any:
        if self.router is not None:
            try:
                return clone(self.router).fit(given, right.astype(int))
            except ValueError as error:
                raise ValueError(
                    f"router, {self.router}, must learn {right.shape[1]} targets at once, for each "
                    "estimator whether it is right, and can't. Give a multi-label classifier, such "
                    f"as sklearn.multiclass.OneVsRestClassifier makes. It says: {error}"
                ) from error
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are chosen
            return _default_router(seed).fit(given, right.astype(int))

    def _scores(self, given: Any) -> Array:
        """P(correct) of every model, (n_samples, n_models)."""
        scores = self.router_.predict_proba(given)
        if isinstance(scores, list):  # an array per model, whose columns are wrong and right
            pairs = zip(scores, self.router_.classes_, strict=True)
            scores = np.column_stack([p @ np.asarray(classes) for p, classes in pairs])
        if scores.shape[1:] != (len(self.estimators_),):
            raise ValueError(
                f"router must give {len(self.estimators_)} probabilities per sample, one for each "
                f"estimator; got shape {scores.shape}. Give a multi-label classifier, such as "
                "sklearn.multiclass.OneVsRestClassifier makes."
            )
        return scores

    def _pick(self, given: Any) -> Array:
        further_j = self.energies_.copy()
        if self._probe_at is not None:
            further_j[self._probe_at] = 0.0  # it has run already
        scores = self._scores(given.X if isinstance(given, _Rows) else given)
        return priced_choice(scores, further_j, self.price_)

    def _set_energies(self, X: Any, rows: Array, given: Any) -> None:
        if isinstance(self.energies, str):
            batch = _safe_indexing(given, np.resize(np.arange(len(rows)), CALL_SIZE))
            selector = ("the router", partial(self._scores, batch))
            *joules, router_j = self._joules([*self._pool_calls(X, rows), selector])
        else:
            joules, router_j = self.energies, self.router_energy
        self.energies_, self.router_energy_ = np.array(joules, float), float(router_j)
        self._warn_if_misordered()

    def _tuned_price(self, X: Any, rows: Array, labels: Array) -> float:
        p = self._outcomes(X, rows)
        right, sure = correct(p, labels), confidence(p, self.signal)
        scores, tried = self._scores(self._read(X, rows, p)), []
        for price in PRICES:
            by, ran = run_policy(Policy(price), scores, sure, self.energies_, self._probe_at)
            energy_j = float((ran @ self.energies_).mean()) + self.router_energy_
            accuracy = float(right[np.arange(len(by)), by].mean())
            tried.append(Setting((), (float(price),), accuracy, energy_j))
        found = undominated(tried)
        rows_ = [(s.thresholds[0], s.accuracy, s.energy_j) for s in found]
        table = pd.DataFrame(rows_, columns=["price", "accuracy", "energy_j"])
        self.frontier_ = table.assign(energy_share=table["energy_j"] / self.energies_[-1])
        return self._meeting(found, right).thresholds[0]


def _default_router(seed: int) -> Any:
    # Much weight on few weights: the held-out samples are few, and most of them every model
    # gets right.
    network = MLPClassifier([32], alpha=1.0, max_iter=100, random_state=seed)
    return make_pipeline(StandardScaler(), network)


def _cpu_s(call: Callable[[], Any]) -> float:
    """Least CPU time of a call: what disturbs one only ever adds to it."""
    taken: list[float] = []
    begin = time.monotonic()
    while len(taken) < 5 or time.monotonic() - begin < 0.1:
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def _measured(
    calls: Sequence[tuple[str, Callable[[], Any]]], watts_per_core: float, budget_s: float
) -> dict[str, Any]:
    # Here, as it brings the runtimes along that only measuring needs.
    from eco.energy import CodeCarbonMeter, Workload, measure

    # The country turns joules into g CO2e, and no such figure is asked for.
    meter = CodeCarbonMeter("FRA", watts_per_core, "auto")
    workloads = [Workload(name, CALL_SIZE, partial(_itself, call)) for name, call in calls]
    return measure(workloads, meter, HALF_WIDTH, DRIFT, budget_s, lambda _: None)


def _itself(call: Callable[[], Any]) -> Callable[[], Any]:
    """A workload that is in memory already: nothing to load anew."""
    return call


def _check_not_empty(X: Any) -> None:
    if not _num_samples(X):
        raise ValueError("X must hold 1 sample at least; got an array with 0 sample(s)")


def _shared_classes(models: dict[str, Any]) -> Array:
    """The classes that every model knows, in the order of their probabilities."""
    for name, model in models.items():
        if not hasattr(model, "classes_"):
            raise NotFittedError(
                f"estimators: {name!r} must be fitted and have classes_; got {model!r}. Fit it, "
                "or set prefit=False to have it fitted."
            )
    (first, classes), *others = [(name, np.asarray(m.classes_)) for name, m in models.items()]
    for name, known in others:
        if not np.array_equal(classes, known):
            raise ValueError(
                "estimators must know the same classes in the same order; "
                f"{first!r} knows {classes.tolist()}, {name!r} knows {known.tolist()}. Fit them on "
                "the same labels."
            )
    return classes


def _by_name(error: ModelError, names: Sequence[str]) -> str:
    """The engine's message, with the name of a model where it gives its position."""
    return re.sub(r"^model (\d+)", lambda found: f"estimator {names[int(found[1])]!r}", str(error))
