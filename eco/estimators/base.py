"""What cascades and routers of classifiers share: a pool that is fitted, run and paid for.

Nothing here knows of params.yaml or of files. Thresholds and prices are tuned and certified by
`eco.strategies`, on samples that no model was fitted on; `eco.runtime.engine` answers.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.utils import indexable
from sklearn.utils.validation import check_is_fitted, validate_data

from eco.errors import ModelError
from eco.estimators import validation
from eco.estimators.duplicates import warn_of_near_copies
from eco.estimators.energies import CALL_SIZE, Call, by_cpu_time, by_measurement
from eco.estimators.holdout import Part, hold_out, is_splitter
from eco.estimators.pool import require_samples
from eco.estimators.samples import Samples, take
from eco.estimators.targets import TargetedPool
from eco.evaluation.classes import vanished_classes
from eco.evaluation.scoring import misordered_pairs
from eco.runtime.engine import Answers, Cascade
from eco.strategies.confidence import Signal, round_probabilities
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import Strategy

Array = NDArray[Any]


def run_model(model: Any, samples: Samples) -> Any:
    """Probabilities of a classifier, as the engine calls it."""
    return model.predict_proba(samples.X)


@dataclass(eq=False, repr=False)
class StrategyClassifier(TargetedPool):
    """Base class of `CascadeClassifier` and `RoutingClassifier`."""

    _: KW_ONLY
    energies: Any = "cpu_time"
    signal: Signal = "max_probability"
    prefit: bool = False
    holdout: Any = 0.2
    watts_per_core: float = 4.0
    measure_s: float = 30.0
    random_state: Any = None

    _min_estimators: ClassVar[int] = 1

    @abstractmethod
    def _engine(self) -> Callable[[Any], Answers]:
        """The strategy as the engine runs it, on the models of `_chain`."""

    @property
    @abstractmethod
    def _n_parts(self) -> int:
        """How many held-out parts the settings take."""

    @abstractmethod
    def _set_strategy(self, parts: Sequence[Part]) -> tuple[Strategy, list[Outcomes]]:
        """Set the energies and all that the fitted models lack to be a strategy.

        Where nothing is held out, `parts` holds samples that the models were fitted on. Returns
        the strategy with the outcomes that it was chosen by.
        """

    @property
    def _chain(self) -> list[str]:
        """Names of the models that the engine may run."""
        return getattr(self, "chain_", list(self.named_estimators_))

    def _check_parameters(self) -> None:
        """Raise a ValueError that names the first parameter that isn't what it must be."""
        names = set(self.get_params(deep=False))
        methods = ["predict_proba"] if self.prefit else ["fit", "predict_proba"]
        validation.estimators(self, self._min_estimators, methods, names)
        validation.numbers(
            self,
            "energies",
            "positive numbers, J per sample of each estimator",
            lambda energy_j: np.isfinite(energy_j) & (energy_j > 0),
            "cpu_time",
            "measured",
        )
        signals = get_args(Signal)
        is_signal = isinstance(self.signal, str) and self.signal in signals
        validation.require(self, "signal", is_signal, f"one of {', '.join(map(repr, signals))}")
        is_bool = isinstance(self.prefit, bool | np.bool_)
        validation.require(self, "prefit", is_bool, "True or False")
        self._check_targets()
        if not is_splitter(self.holdout):
            validation.number(self, "holdout", 0, 1)
        validation.number(self, "watts_per_core", 0)
        validation.number(self, "measure_s", 0)
        validation.whole(self, "random_state", 0, 2**32, type(None), np.random.RandomState)

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        groups_val: Any = None,
        **params: Any,
    ) -> Self:
        """Fit the models, determine what each costs, and set the thresholds or the price.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), optional
            Which samples belong together, as those of one patient or recording do. Without groups
            samples must be independent. A group is fitted on or held out as a whole.
        X_val, y_val, groups_val : as `X`, `y` and `groups`, optional
            Samples to hold out, in place of a share `holdout` of `X`.
        **params : dict
            Passed on to the models by scikit-learn's metadata routing, where it is on.

        Raises
        ------
        ValueError
            If a parameter or the samples aren't what they must be, a group is on both sides of the
            split, or no strategy meets the target: the message says what can be met.

        Warns
        -----
        UserWarning
            If held-out samples have near-copies among the others or lack a class, the strategy
            never answers a class, or energies aren't what they should be.
        """
        samples = self._check(X, y, groups, params)
        samples, own = self._with_own(samples, X_val, y_val, groups_val)
        rows, parts = self._held_out(samples, own)
        self._fit_models(samples.X, samples.y, rows, params)
        parts = [replace(part, y=self._indices(part.y)) for part in parts or [samples]]
        self._warn_of_missing_classes(parts)
        if self._n_parts or own is not None:
            fitted_on = [take(samples.X, rows)] if rows.size else []
            warn_of_near_copies([*fitted_on, *(part.X for part in parts)])
        else:
            parts = [parts[0].take(np.arange(min(len(samples), CALL_SIZE)))]
        self._warn_of_vanished_classes(*self._set_strategy(parts))
        return self

    def predict(self, X: Any) -> Array:
        """Label of each sample, (n_samples,), by the model that answers it.

        Raises a ValueError if `X` doesn't suit the models, or one of them gives no probabilities.
        """
        answers = self._answers(X)
        return self.classes_[answers.labels]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, (n_samples, n_classes), by the model that answers."""
        return self._answers(X).probabilities

    def explain(self, X: Any) -> pd.DataFrame:
        """What was decided on each sample, and what it cost.

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
        answers, names = self._answers(X), self._chain
        energy_j = dict(zip(self.named_estimators_, self.energies_, strict=True))
        columns = {
            "label": self.classes_[answers.labels],
            "answered_by": np.array(names, object)[answers.answered_by],
            "confidence": answers.confidence,
            "energy_j": answers.ran @ np.array([energy_j[name] for name in names])
            + getattr(self, "router_energy_", 0.0),
            "models_run": answers.ran.sum(axis=1),
        }
        return pd.DataFrame(columns, X.index if hasattr(X, "iloc") else None)

    @property
    def _is_prefit(self) -> bool:
        return self.prefit or all(isinstance(m, FrozenEstimator) for _, m in self.estimators)

    def _answers(self, X: Any) -> Answers:
        check_is_fitted(self)
        if getattr(X, "ndim", 2) == 1 and hasattr(self, "n_features_in_"):
            raise ValueError(
                f"X must hold a row of {self.n_features_in_} features per sample; got a 1D array. "
                "Reshape your data: X.reshape(1, -1) if it is a single sample."
            )
        (X,) = indexable(validate_data(self, X, reset=False, skip_check_array=True))
        require_samples(X)
        try:
            return self._engine()(Samples(X))
        except ModelError as error:
            raise validation.with_name(error, self._chain) from None

    def _check(self, X: Any, y: Any, groups: Any, params: dict[str, Any]) -> Part:
        """The samples given to `fit`, after every check that costs nothing."""
        self._check_parameters()
        if isinstance(self.energies, str) and self.energies == "measured":
            import eco.energy.meter  # noqa: F401  # fails now if its packages are missing
        self._check_metadata(params)
        if groups is not None and get_config()["enable_metadata_routing"]:
            params["groups"] = groups
        for name in ("frontier_", "measurement_"):  # an earlier fit may have left them
            self.__dict__.pop(name, None)
        samples = self._labelled(X, y, groups, reset=True)
        if len(np.unique(samples.y)) < 2:
            raise ValueError(
                f"y must hold 2 classes at least; got 1 class, {samples.y.tolist()[0]!r}. Give "
                "samples of others."
            )
        if not self._is_prefit:  # fails now if the classes don't have the metric
            self._metric(np.unique(samples.y))
        return samples

    def _held_out(self, samples: Part, own: Part | None) -> tuple[Array, list[Part]]:
        """Rows to fit on, and the held-out parts, which are large enough."""
        rows, parts = hold_out(
            samples, own, self._n_parts, self.holdout, self._is_prefit, self.random_state
        )
        is_share = own is None and isinstance(self.holdout, Real) and not self._is_prefit
        self._check_parts(parts, self.holdout if is_share else 1.0)
        return rows, parts

    @abstractmethod
    def _check_parts(self, parts: Sequence[Part], share: float) -> None:
        """Raise a ValueError if held-out parts, such a share of the samples, won't do."""

    def _warn_of_missing_classes(self, parts: Sequence[Part]) -> None:
        held_out = np.concatenate([part.y for part in parts])
        unseen = np.delete(self.classes_, np.unique(held_out))
        if unseen.size:
            warnings.warn(
                f"none of the samples held out is of class {unseen.tolist()}: what is found on "
                "them says nothing of it",
                UserWarning,
                stacklevel=3,
            )

    def _warn_of_vanished_classes(self, strategy: Strategy, outcomes: list[Outcomes]) -> None:
        vanished = self.classes_[vanished_classes(strategy, *outcomes)].tolist()
        if vanished:
            names = ", ".join(map(repr, vanished[:5])) + (", ..." if len(vanished) > 5 else "")
            warnings.warn(
                f"the strategy never answers {len(vanished)} of {len(self.classes_)} classes that "
                f"the last estimator does, {names}, on {sum(map(len, outcomes))} samples. A target "
                "for all samples can be met without a rare class: give max_class_loss, lower "
                "max_accuracy_loss, max_loss or max_harm, raise energy_budget, or leave out the "
                "estimators that can't tell it",
                UserWarning,
                stacklevel=3,
            )

    def _probabilities(self, samples: Part) -> Array:
        """Rounded probabilities of every model, (n_samples, n_models, n_classes)."""
        n_classes, columns = len(self.classes_), []
        for name, model in self.named_estimators_.items():
            alone = Cascade([partial(run_model, model)], [0.0], self.signal, CALL_SIZE)
            try:
                p = round_probabilities(alone(Samples(samples.X)).probabilities)
            except ModelError as error:
                raise validation.with_name(error, [name]) from None
            if p.shape[1] != n_classes:
                raise ValueError(
                    f"estimator {name!r} must give {n_classes} probabilities, one for each of its "
                    f"classes; got {p.shape[1]}"
                )
            columns.append(p)
        return np.stack(columns, axis=1)

    def _outcomes(self, p: Array, labels: Array) -> Outcomes:
        names = list(self.named_estimators_)
        return Outcomes.from_probabilities(p, labels, self.energies_, names, self.signal)

    def _set_energies(self, samples: Part, router: Call | None = None) -> None:
        """Set ``energies_``, and ``router_energy_`` where the call of a router is measured too."""
        if isinstance(self.energies, str):
            batch = Samples(take(samples.X, np.resize(np.arange(len(samples)), CALL_SIZE)))
            models = self.named_estimators_.items()
            calls: dict[str, Call] = {name: partial(run_model, m, batch) for name, m in models}
            # `router` is a parameter, so that no estimator has this name.
            energy_j = self._joules(calls if router is None else {**calls, "router": router})
            self.energies_ = energy_j[: len(calls)]
            if router is not None:
                self.router_energy_ = float(energy_j[-1])
        else:
            self.energies_ = validation.by_estimator(self.energies, list(self.named_estimators_))
        for heavier, lighter in misordered_pairs(self.energies_, list(self.named_estimators_)):
            warnings.warn(
                f"estimators go from light to heavy, but {heavier} costs more than {lighter}",
                UserWarning,
                stacklevel=4,
            )

    def _joules(self, calls: dict[str, Call]) -> Array:
        """J per sample of calls of `CALL_SIZE` samples, as ``energies`` says."""
        if self.energies == "cpu_time":
            return by_cpu_time(calls, self.watts_per_core)
        readings = by_measurement(calls, self.watts_per_core, self.measure_s)
        self.measurement_, energy_j = readings
        return energy_j
