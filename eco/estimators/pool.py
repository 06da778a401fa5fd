"""A pool of named classifiers: its parameters, what samples it takes, and how it is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from eco.estimators import validation
from eco.estimators.holdout import Part, numbered, require_apart
from eco.estimators.samples import n_samples, take

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class Pool(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of estimators that are made of named classifiers, from light to heavy."""

    estimators: list[tuple[str, Any]]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the strategy and, if `deep`, its models and their parameters."""
        params: dict[str, Any] = super().get_params(deep=deep)
        for name, model in self._pairs if deep else []:
            params[name] = model
            if hasattr(model, "get_params") and not isinstance(model, type):
                params |= {f"{name}__{key}": value for key, value in model.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the strategy, a model (``name``) or its own (``name__parameter``)."""
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        models = {name: params.pop(name) for name, _ in self._pairs if name in params}
        if models:
            self.estimators = [(name, models.get(name, model)) for name, model in self.estimators]
        super().set_params(**params)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata, such as sample weights, that `fit` takes or passes on to each model."""
        router = MetadataRouter(owner=self).add_self_request(self)
        mapping = MethodMapping().add(caller="fit", callee="fit")
        for name, model in self.estimators:
            router.add(**{name: model}, method_mapping=mapping)
        return router

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        models = [model for _, model in self._pairs if hasattr(model, "__sklearn_tags__")]
        inputs = [get_tags(model).input_tags for model in models]
        tags.input_tags.sparse = all(one.sparse for one in inputs)
        tags.input_tags.allow_nan = all(one.allow_nan for one in inputs)
        return tags

    @property
    def _pairs(self) -> list[tuple[str, Any]]:
        """Names and models, as far as `estimators` holds any."""
        pairs = self.estimators if isinstance(self.estimators, list) else []
        return [pair for pair in pairs if validation.is_named(pair)]

    def _check_metadata(self, params: Mapping[str, Any]) -> None:
        if params and not get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"fit takes {', '.join(params)} only while metadata routing is on: "
                "sklearn.set_config(enable_metadata_routing=True)"
            )

    def _labelled(self, X: Any, y: Any, groups: Any, reset: bool) -> Part:
        """Samples with labels and groups, checked; `reset` if they define the features."""
        # The features are the models' own business: they may be text, images or missing.
        X, y = validate_data(self, X, y, reset=reset, skip_check_array=True)
        X, y, groups = indexable(X, y, groups)
        require_samples(X)
        y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y")
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Unknown label type: {kind}. y must hold the class of each sample.")
        return Part(X, y, None if groups is None else column_or_1d(groups))

    def _with_own(
        self, samples: Part, X_val: Any, y_val: Any, groups_val: Any
    ) -> tuple[Part, Part | None]:
        """The samples and one's own held-out ones, if any, with numbers for their groups."""
        if X_val is None or y_val is None:
            if not (X_val is None and y_val is None and groups_val is None):
                raise ValueError(
                    "X_val and y_val must be given together, and groups_val only with them"
                )
            (groups,) = numbered(samples.groups)
            return replace(samples, groups=groups), None
        own = self._labelled(X_val, y_val, groups_val, reset=False)
        groups, own_groups = numbered(samples.groups, own.groups)
        require_apart(groups, own_groups)
        return replace(samples, groups=groups), replace(own, groups=own_groups)

    def _fit_models(self, X: Any, y: Array, rows: Array, params: dict[str, Any]) -> None:
        """Fit the models on some of the samples; without any rows they are fitted already.

        They learn the indices of the classes, as those of `sklearn.ensemble.StackingClassifier`
        do, since some take no others; a `FrozenEstimator` among them knows its own labels.
        """
        models, encode = dict(self.estimators), False
        if rows.size:
            encode = not any(isinstance(model, FrozenEstimator) for model in models.values())
            routed = process_routing(self, "fit", **params)
            X_train, y_train = take(X, rows), y[rows]
            classes, codes = np.unique(y_train, return_inverse=True)
            for name, model in self.estimators:
                metadata = {
                    key: take(value, rows) if _is_per_sample(value, len(y)) else value
                    for key, value in routed[name].fit.items()
                }
                model = _with_encoded_weights(model, classes) if encode else clone(model)
                models[name] = model.fit(X_train, codes if encode else y_train, **metadata)
        self.estimators_ = list(models.values())
        self.named_estimators_ = Bunch(**models)
        self.classes_ = validation.shared_classes(models)
        if encode:
            self.classes_ = classes[self.classes_.astype(int)]

    def _indices(self, y: Array) -> Array:
        """The index of each label among the classes."""
        indices: Array = pd.Index(self.classes_).get_indexer(y)
        if indices.min() < 0:
            raise ValueError(
                f"y must hold classes that the estimators know, {self.classes_.tolist()}; got "
                f"{np.unique(y[indices < 0]).tolist()} as well"
            )
        return indices


def require_samples(X: Any) -> None:
    """Raise a ValueError if there isn't a sample."""
    if not n_samples(X):
        raise ValueError("X must hold 1 sample at least; got an array with 0 sample(s)")


def _with_encoded_weights(model: Any, classes: Array) -> Any:
    """A clone whose weights of classes are those of their indices."""
    indices = {label: index for index, label in enumerate(classes.tolist())}
    weights = {
        # A label that isn't there must not become the index of another.
        key: {indices.get(label, repr(label)): weight for label, weight in value.items()}
        for key, value in model.get_params().items()
        if key.rpartition("__")[2] == "class_weight" and isinstance(value, Mapping)
    }
    return clone(model).set_params(**weights)


def _is_per_sample(value: Any, n: int) -> bool:
    return np.ndim(value) > 0 and n_samples(value) == n
