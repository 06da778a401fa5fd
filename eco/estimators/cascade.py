"""Cascades of any classifiers, as a scikit-learn estimator."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import TargetError
from eco.estimators import validation
from eco.estimators.base import StrategyClassifier, run_model
from eco.estimators.energies import CALL_SIZE
from eco.estimators.holdout import Part
from eco.runtime.engine import Answers, Cascade
from eco.strategies.bounded import (
    Limits,
    from_safe_to_cheap,
    refuse_uncertifiable,
    settings_certified,
    shortage,
)
from eco.strategies.certification import (
    Measure,
    certified_up_to,
    differences,
    losses,
    samples_needed,
)
from eco.strategies.metrics import frontier
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import with_last

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class CascadeClassifier(StrategyClassifier):
    """Classifiers in turn from light to heavy, until one is confident enough.

    Every model that ran on a sample is paid for, not only the one that answered.

    Parameters
    ----------
    estimators : list of (str, classifier)
        From light to heavy, with ``predict_proba``; losses are counted from the last. Cloned and
        fitted on the samples that aren't held out, unless all of them are
        `sklearn.frozen.FrozenEstimator` or `prefit` is true. As in
        `sklearn.ensemble.StackingClassifier` they learn the indices of the labels in ``classes_``,
        unless one of them is frozen.
    thresholds : {"tuned", "certified"}, array-like or mapping of float
        At or above its threshold a model's answer is accepted, below it the next model runs.
        Numbers: one in [0, 1] for each estimator, the last 0.0, in their order or, in a dict or a
        Series, by name; nothing is held out then.
        "tuned": the cheapest cascade of some of the estimators that meets `max_accuracy_loss`, or
        the most accurate within `energy_budget`, on held-out samples. "certified": the cheapest
        that loses at most `max_loss`, or harms at most `max_harm`, with probability 1 - `delta`.
    energies : {"cpu_time", "measured"}, array-like or mapping of float
        J per sample of each estimator. Numbers: in any one unit, given as `thresholds`. "cpu_time":
        least CPU time of some calls x `watts_per_core`, an estimate whose ratios rather than
        joules are to be relied on; it varies by some per cent, so where a fit must be repeatable
        give numbers. "measured": by CodeCarbon in repeated windows, which takes seconds per
        model, a GPU above its idle power included. Both use one thread and see this process alone,
        no other that a model starts; "cpu_time" warns of a model that waits for others.
    signal : {"max_probability", "margin", "entropy"}
        Confidence of a model: see `eco.strategies.confidence`.
    max_accuracy_loss : float
        For "tuned": percentage points of accuracy below the last model's, on the held-out
        samples. On new samples it may be more; what holds there as well is "certified".
    scoring : {"accuracy", "balanced_accuracy", "f1", "f1_macro"}
        The metric that is tuned for and certified. With all but accuracy `max_metric_loss` takes
        the place of `max_accuracy_loss`, and `max_loss` and `max_harm` are points of the metric. f1
        can't be certified: it is no mean over samples; `eco.strategies.metrics.frontier` says what
        is searched for it.
    cost_matrix : array of shape (n_classes, n_classes), DataFrame or mapping, optional
        Instead of `scoring`: what it costs that a class, the row, is answered as another, the
        column, in the order of ``classes_``; a mapping by label of the one and then of the other.
        The metric is 1 - mean cost, and a point of it a hundredth of the largest cost.
    pos_label : optional
        The class that f1 is of; 1 by default.
    max_metric_loss : float
        For "tuned": percentage points of the metric below the last model's.
    max_class_loss : float, optional
        A further limit: percentage points of accuracy in every class below the last model's, tuned
        by the same margin, or certified on the samples of each class.
    energy_budget : float, optional
        Share of the last model's energy, at most 1; takes the place of `max_accuracy_loss`.
    margin_se : float
        For "tuned": standard errors, on the held-out samples, that must lie between what a
        cascade does there and the limit, since what is chosen does worse on new samples.
    max_loss : float
        For "certified": percentage points of accuracy below the last model's, on new samples. Not
        for groups.
    max_harm : float, optional
        Takes the place of `max_loss`, and is stricter: percentage points of samples on which the
        last model is right and the cascade isn't; with groups, of the samples of a group on
        average over all groups.
    delta : float
        Probability with which the certificate may be wrong.
    prefit : bool
        Whether the estimators are fitted, each with ``predict_proba`` and ``classes_``. All samples
        given to `fit` count as held out: give samples that no model was fitted on. `clone`, and
        so cross-validation, unfits them; it leaves a `FrozenEstimator` fitted.
    holdout : float or splitter
        Share of the samples, or of their groups, that is held out, for "certified" half of it each
        for tuning and for certifying. A splitter, as those of `sklearn.model_selection`: what its
        last split leaves out. The models aren't fitted anew afterwards: their confidences would
        change.
    settings_per_chain : int
        Settings tried of each chain, see `eco.strategies.tuning.frontier`.
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
        Names of the models that run, in turn.
    thresholds_ : list of float
        One for each model of `chain_`.
    energies_ : array of shape (n_estimators,)
        J per sample of each estimator alone.
    frontier_ : DataFrame
        Where thresholds aren't given, the cascades that no other one beats on the held-out
        samples: ``chain``, ``thresholds``, the metric, ``energy_j`` per sample and
        ``energy_share`` of the last model's. Certified: ``harm`` instead of the metric, ``harmed``
        and, for `max_loss`, ``gained`` samples of the certificate's (with groups, the sum of
        their harmed shares), and whether the cascade is ``certified``.
    estimators_ : list of classifier
        Fitted; those outside `chain_` as well.
    named_estimators_ : Bunch
    measurement_ : eco.energy.measurement.Measurements
        Readings, intervals and provenance, if measured.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features_in_,)

    Notes
    -----
    Certificates are those of Learn then Test (Angelopoulos et al. 2021), and hold for samples
    drawn as those given to `fit` were, independently. Where samples come in groups, `fit` takes
    ``groups``, and a certificate holds for new groups: each counts once, with its share of harmed
    samples, see `eco.strategies.certification.losses`.

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

    thresholds: Any = "tuned"
    _: KW_ONLY
    max_loss: float = 0.5
    max_harm: float | None = None
    delta: float = 0.05
    settings_per_chain: int = 10_000

    def _check_parameters(self) -> None:
        super()._check_parameters()
        validation.numbers(
            self,
            "thresholds",
            "numbers from 0 to 1, one for each estimator, the last of them 0.0",
            lambda thresholds: (thresholds >= 0) & (thresholds <= 1) & (thresholds[-1] == 0),
            "tuned",
            "certified",
        )
        validation.number(self, "max_loss", 0, 100)
        validation.number(self, "max_harm", 0, 100, other=None)
        validation.number(self, "delta", 0, 1)
        validation.whole(self, "settings_per_chain", 1)

    @property
    def _n_parts(self) -> int:
        if not isinstance(self.thresholds, str):
            return 0
        return 2 if self.thresholds == "certified" else 1

    def _set_strategy(self, parts: Sequence[Part]) -> tuple[Strategy, list[Outcomes]]:
        probabilities = [self._probabilities(part) for part in parts]
        self._set_energies(parts[0])
        pairs = zip(probabilities, parts, strict=True)
        outcomes = [self._outcomes(p, part.y) for p, part in pairs]
        if not isinstance(self.thresholds, str):
            names = list(self.named_estimators_)
            thresholds = validation.by_estimator(self.thresholds, names).tolist()
            strategy = Strategy("cascade", tuple(names), tuple(thresholds))
        elif self.thresholds == "tuned":
            strategy = self._tuned(*outcomes)
        else:
            strategy = self._certified(outcomes[0], outcomes[1], parts[1].groups)
        self.chain_, self.thresholds_ = list(strategy.models), list(strategy.thresholds)
        return strategy, outcomes

    def _engine(self) -> Callable[[Any], Answers]:
        models = [partial(run_model, self.named_estimators_[name]) for name in self.chain_]
        return Cascade(models, self.thresholds_, self.signal, CALL_SIZE)

    def _check_parts(self, parts: Sequence[Part], share: float) -> None:
        if self._n_parts < 2:
            return
        (of, limits), part = self._limits, parts[1]
        unit = "samples" if part.groups is None else "groups"
        if part.groups is not None and of == "loss":
            raise ValueError(
                "max_harm must be a number where samples come in groups: for groups only harm can "
                "be certified, not max_loss; got None"
            )
        self._check_metric_of(parts, of, limits)
        none, bound = np.zeros(1, int), np.array([limits.bound])
        shown = certified_up_to(of, none, none, part.n_units, bound, self.delta)[0]
        if self._kind.name == "accuracy" and not shown:
            needed = samples_needed(of, limits.bound, self.delta)
            raise ValueError(
                f"to certify {of} of at most {limits.max_points:g} points with probability "
                f"{1 - self.delta:.10g} takes {needed} {unit}; there are {part.n_units}, half of "
                f"those held out. Give {int(np.ceil(2 * (needed + 0.5) / share))} {unit} in all, "
                f"or raise max_{of}, delta or holdout."
            )

    def _check_metric_of(self, parts: Sequence[Part], of: Measure, limits: Limits) -> None:
        """Raise a ValueError if no test certifies the metric or each class, or samples are few."""
        labels, y = np.unique(np.concatenate([part.y for part in parts]), return_inverse=True)
        metric, part = self._kind, parts[1]
        try:
            refuse_uncertifiable(metric, self.max_class_loss, part.groups is not None)
        except TargetError as error:
            raise ValueError(str(error)) from None
        names = dict(enumerate(map(str, labels.tolist())))
        lacking = shortage(metric, y[len(parts[0]) :], names, f"max_{of}", limits)
        if lacking is not None:
            raise ValueError(
                f"{lacking.problem}. Half of the samples held out certify: give more, or raise "
                f"{lacking.target}, delta or holdout."
            )

    @property
    def _limits(self) -> tuple[Measure, Limits]:
        """What is certified."""
        of: Measure = "loss" if self.max_harm is None else "harm"
        points = self.max_loss if self.max_harm is None else self.max_harm
        return of, Limits(points, self.delta, self.max_class_loss)

    def _tuned(self, outcomes: Outcomes) -> Strategy:
        metric = self._metric(self.classes_)
        points = frontier(
            outcomes,
            metric,
            self.settings_per_chain,
            max_class_loss=self.max_class_loss,
            margin_se=self.margin_se,
            max_loss=self._limit() / 100,
        )
        self.frontier_ = self._table(points, metric.name, **_settings(points))
        last = metric.evaluate(always(outcomes.pool[-1]), outcomes)
        return self._best(with_last(points, last), outcomes, metric).strategy

    def _certified(
        self, tuning: Outcomes, certification: Outcomes, groups: Array | None
    ) -> Strategy:
        """The cheapest cascade that is certified; the last model alone loses nothing."""
        (of, limits), metric = self._limits, self._metric(self.classes_)
        points = from_safe_to_cheap(
            tuning, metric, self.settings_per_chain, max_class_loss=self.max_class_loss
        )
        count, _ = settings_certified(of, metric, points, tuning, certification, limits, groups)
        changes = [differences(point.strategy, certification) for point in points]
        n_harmed = np.array([losses(change < 0, groups).sum() for change in changes])
        table = self._table(points, "harm", **_settings(points))
        table = table.assign(harm=1 - table["harm"])
        table["harmed"] = n_harmed.astype(int) if groups is None else n_harmed
        if of == "loss":
            table["gained"] = [int((change > 0).sum()) for change in changes]
        self.frontier_ = table.assign(certified=np.arange(len(points)) < count)
        # Where rounding certifies nothing, the first: the last model alone.
        return points[max(count, 1) - 1].strategy


def _settings(points: Sequence[OperatingPoint]) -> dict[str, Any]:
    return {
        "chain": [list(point.strategy.models) for point in points],
        "thresholds": [point.strategy.thresholds for point in points],
    }
