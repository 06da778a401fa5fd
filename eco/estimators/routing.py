"""Routing between any classifiers, as a scikit-learn estimator."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state, get_tags

from eco.estimators import validation
from eco.estimators.base import StrategyClassifier, run_model
from eco.estimators.energies import CALL_SIZE
from eco.estimators.holdout import Part
from eco.estimators.samples import Samples, take
from eco.runtime.engine import Answers, Routing
from eco.strategies.confidence import correct
from eco.strategies.metrics import within_class_limit
from eco.strategies.outcomes import Outcomes, RouterOutcome
from eco.strategies.routing import candidates, priced_choice, remaining_energy_j
from eco.strategies.strategy import Kind, Strategy
from eco.strategies.tuning import undominated

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class RoutingClassifier(StrategyClassifier):
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
        "tuned": by `max_accuracy_loss` or `energy_budget`, on held-out samples that the router
        wasn't fitted on.
    probe : str, optional
        Name of the estimator that runs first; not the last one.
    energies : {"cpu_time", "measured"}, array-like or mapping of float
        As in `CascadeClassifier`; of the router too, unless they are numbers.
    router_energy : float, optional
        J per sample of the router; only where `energies` are numbers.
    signal : {"max_probability", "margin", "entropy"}
        What `explain` gives as confidence.
    scoring, cost_matrix, pos_label, max_metric_loss, max_class_loss
        As in `CascadeClassifier`.
    max_accuracy_loss, energy_budget, margin_se
        As in `CascadeClassifier`; a router can miss either, as it never knows for sure.
    prefit : bool
        As in `CascadeClassifier`, of the estimators; the router is always fitted.
    holdout : float or splitter
        Share of the samples, or of their groups, that no model is fitted on: the router is, or
        with a tuned price on half of it, the other half being for the price. A splitter as in
        `CascadeClassifier`.
    watts_per_core, measure_s, random_state
        As in `CascadeClassifier`; `random_state` is that of the default router too.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    price_ : float
    router_ : multi-label classifier
    router_energy_ : float
        J per sample.
    frontier_ : DataFrame
        The prices that no other one beats on the held-out samples: ``price``, the metric,
        ``energy_j`` per sample, router included, and ``energy_share`` of the last model's. Only
        if tuned.
    energies_, estimators_, named_estimators_, measurement_, n_features_in_, feature_names_in_
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

    router: Any = None
    _: KW_ONLY
    price: Any = "tuned"
    probe: str | None = None
    router_energy: float | None = None
    holdout: Any = 0.4

    _min_estimators: ClassVar[int] = 2

    def _check_parameters(self) -> None:
        super()._check_parameters()
        is_router = self.router is None or validation.has_methods(self.router)
        expected = "a classifier with fit and predict_proba, or None"
        validation.require(self, "router", is_router, expected)
        validation.number(self, "price", 0, closed=True, other="tuned")
        but_last = [name for name, _ in self.estimators[:-1]]
        expected = f"one of {but_last}, not the last estimator, or None"
        validation.require(self, "probe", self.probe is None or self.probe in but_last, expected)
        if isinstance(self.energies, str):
            expected = "None unless energies are numbers"
            validation.require(self, "router_energy", self.router_energy is None, expected)
        else:
            validation.number(self, "router_energy", 0, closed=True)

    @property
    def _n_parts(self) -> int:
        return 2 if isinstance(self.price, str) else 1

    def _check_parts(self, parts: Sequence[Part], share: float) -> None:  # noqa: ARG002
        if self.router is not None or self.probe is not None:
            return
        try:
            check_array(parts[0].X)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                "router, by default a network on standardised features, takes dense numbers. Give "
                "as router= a pipeline that turns these samples into numbers and ends in a "
                "multi-label classifier, or name as probe= the estimator whose probabilities the "
                f"router reads. It says: {error}"
            ) from error

    def _set_strategy(self, parts: Sequence[Part]) -> tuple[Strategy, list[Outcomes]]:
        learning, *tuning = parts
        p = self._probabilities(learning)
        inputs = self._router_inputs(learning, p)
        self.router_ = self._fitted_router(inputs, correct(p, learning.y))
        self._scores(take(inputs, np.arange(1)))  # fails now if the router can't score
        batch = take(inputs, np.resize(np.arange(len(learning)), CALL_SIZE))
        self._set_energies(learning, partial(self._scores, batch))
        if self.router_energy is not None:
            self.router_energy_ = float(self.router_energy)
        if tuning:
            p = self._probabilities(tuning[0])
            inputs = self._router_inputs(tuning[0], p)
        kind: Kind = "price_router" if self.probe is None else "probe_router"
        router = RouterOutcome(self._scores(inputs), self.router_energy_)
        outcomes = replace(self._outcomes(p, parts[-1].y), routers={kind: router})
        self.price_ = self._tuned_price(kind, outcomes) if tuning else float(self.price)
        strategy = Strategy(kind, outcomes.pool, price=self.price_, probe=self.probe)
        return strategy, [outcomes]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.probe is None:
            router = _default_router(0) if self.router is None else self.router
            inputs = get_tags(router).input_tags
            tags.input_tags.sparse &= inputs.sparse and self.router is not None
            tags.input_tags.allow_nan &= inputs.allow_nan
        return tags

    def _engine(self) -> Callable[[Any], Answers]:
        models = [partial(run_model, model) for model in self.estimators_]
        return Routing(
            self._pick, models, self._probe_index, signal=self.signal, call_size=CALL_SIZE
        )

    @property
    def _probe_index(self) -> int | None:
        names = [name for name, _ in self.estimators]
        return None if self.probe is None else names.index(self.probe)

    def _router_inputs(self, samples: Part, p: Array) -> Any:
        """What the router reads of samples: themselves, or the probe's probabilities."""
        if self._probe_index is None:
            return samples.X
        return p[:, self._probe_index].astype(np.float32)

    def _fitted_router(self, inputs: Any, correct: Array) -> Any:
        if self.router is not None:
            try:
                return clone(self.router).fit(inputs, correct.astype(int))
            except ValueError as error:
                raise ValueError(
                    f"router, {self.router}, must learn {correct.shape[1]} targets at once, for "
                    "each estimator whether it is right, and can't. Give a multi-label "
                    "classifier, such as sklearn.multiclass.OneVsRestClassifier makes. It says: "
                    f"{error}"
                ) from error
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are chosen
            return _default_router(seed).fit(inputs, correct.astype(int))

    def _scores(self, inputs: Any) -> Array:
        """P(correct) of every model, (n_samples, n_models)."""
        scores = self.router_.predict_proba(inputs)
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

    def _pick(self, inputs: Any) -> Array:
        scores = self._scores(inputs.X if isinstance(inputs, Samples) else inputs)
        remaining_j = remaining_energy_j(self.energies_, self._probe_index)
        return priced_choice(scores, remaining_j, self.price_)

    def _tuned_price(self, kind: Kind, outcomes: Outcomes) -> float:
        metric, strategies = (
            self._metric(self.classes_),
            candidates(kind, outcomes.pool, self.probe),
        )
        kept = within_class_limit(strategies, outcomes, self.max_class_loss, self.margin_se)
        if not kept:
            raise ValueError(
                f"no price loses at most {self.max_class_loss:g} points in every class on the "
                "samples held out. Raise max_class_loss or lower margin_se."
            )
        points = undominated(metric.evaluate(strategy, outcomes) for strategy in kept)
        prices = [point.strategy.price for point in points]
        self.frontier_ = self._table(points, metric.name, price=prices)
        price = self._best(points, outcomes, metric).strategy.price
        assert price is not None
        return price


def _default_router(seed: int) -> Any:
    # Much weight on few weights: the held-out samples are few, and most of them every model
    # gets right.
    network = MLPClassifier([32], alpha=1.0, max_iter=100, random_state=seed)
    return make_pipeline(StandardScaler(), network)
