"""Strategies of classifiers that are chosen by metrics other than accuracy, or within classes."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.tree import DecisionTreeClassifier

from eco import CascadeClassifier, RoutingClassifier

SETTINGS = {"energies": [1.0, 50.0], "prefit": True, "random_state": 0}


@pytest.fixture(scope="module")
def rare():
    """Fitted models of which one is blind, and other samples: 1 in 100 is of class 1."""
    X, y = make_classification(
        9000, 8, n_informative=6, n_redundant=0, n_clusters_per_class=1, weights=[0.99],
        class_sep=2.5, flip_y=0, random_state=1,
    )  # fmt: skip
    pool = [("dummy", DummyClassifier()), ("forest", RandomForestClassifier(20, random_state=0))]
    return [(name, model.fit(X[:3000], y[:3000])) for name, model in pool], X[3000:], y[3000:]


@pytest.fixture(scope="module")
def even():
    X, y = make_classification(
        6000, 8, n_informative=6, n_redundant=0, n_classes=3, n_clusters_per_class=1,
        class_sep=1.5, weights=[0.6, 0.3], random_state=0,
    )  # fmt: skip
    pool = [
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("forest", RandomForestClassifier(30, random_state=0)),
    ]
    names = np.array(["a", "b", "c"])[y]
    return [(n, m.fit(X[:1500], names[:1500])) for n, m in pool], X[1500:], names[1500:]


@pytest.mark.filterwarnings("ignore:the strategy never answers")
def test_a_rare_class_is_given_up_for_accuracy_but_not_for_other_metrics(rare):
    pool, X, y = rare
    assert CascadeClassifier(pool, max_accuracy_loss=2, **SETTINGS).fit(X, y).chain_ == ["dummy"]
    for target in (
        {"scoring": "balanced_accuracy", "max_metric_loss": 5.0},
        {"scoring": "f1", "max_metric_loss": 5.0},
        {"cost_matrix": {0: {0: 0, 1: 1}, 1: {0: 50, 1: 0}}},
        {"max_accuracy_loss": 2, "max_class_loss": 10.0},
    ):
        cascade = CascadeClassifier(pool, **target, **SETTINGS).fit(X, y)
        assert cascade.chain_[-1] == "forest", target
        assert recall_score(y, cascade.predict(X)) > 0.5


def test_a_cascade_keeps_the_limits_that_it_was_tuned_for(even):
    pool, X, y = even
    cascade = CascadeClassifier(
        pool, scoring="balanced_accuracy", max_metric_loss=1.0, max_class_loss=2.0, **SETTINGS
    ).fit(X, y)
    (_, forest), answers = pool[1], cascade.predict(X)
    lost = balanced_accuracy_score(y, forest.predict(X)) - balanced_accuracy_score(y, answers)
    recalls = [recall_score(y, each, average=None) for each in (forest.predict(X), answers)]
    assert lost <= 0.01
    assert (recalls[0] - recalls[1]).max() <= 0.02
    assert cascade.chain_ == ["tree", "forest"]
    assert "balanced_accuracy" in cascade.frontier_


def test_a_certificate_names_what_is_certified(even):
    pool, X, y = even
    cascade = CascadeClassifier(
        pool, "certified", scoring="balanced_accuracy", max_loss=3.0, max_class_loss=6.0, **SETTINGS
    ).fit(X, y)
    certified = cascade.frontier_["certified"]
    assert cascade.chain_ == ["tree", "forest"]
    assert certified.is_monotonic_decreasing
    assert cascade.thresholds_ == list(cascade.frontier_["thresholds"][certified.sum() - 1])


def test_a_price_is_tuned_within_classes(even):
    pool, X, y = even
    plain = RoutingClassifier(pool, router_energy=0.1, max_accuracy_loss=90, **SETTINGS).fit(X, y)
    strict = RoutingClassifier(
        pool, router_energy=0.1, scoring="f1_macro", max_metric_loss=90, max_class_loss=3.0,
        **SETTINGS,
    ).fit(X, y)  # fmt: skip
    assert strict.price_ < plain.price_
    assert "f1_macro" in strict.frontier_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring": "recall"}, "scoring must be one of accuracy, balanced_accuracy, f1, f1_macro"),
        ({"scoring": "f1"}, r"pos_label must be one of the classes \(a, b, c\), 1 by default"),
        (
            {"cost_matrix": [[0, 1], [1, 0]]},
            r"a cost for each .*\(3, 3\); got \(2, 2\)",
        ),
        ({"max_class_loss": 0}, "max_class_loss must be a number above 0 and below 100, or None"),
        (
            {"scoring": "f1_macro", "max_accuracy_loss": 2},
            "max_accuracy_loss doesn't count with scoring 'f1_macro'; got 2. Give max_metric_loss",
        ),
        (
            {"scoring": "f1_macro", "thresholds": "certified"},
            "f1_macro can't be certified: it is no mean of losses of single samples",
        ),
        (
            {"max_class_loss": 0.5, "max_loss": 5, "thresholds": "certified"},
            r"712 samples at least .* of every class; got \d+ of class c\. .* raise max_class_loss",
        ),
        (
            {"scoring": "balanced_accuracy", "max_loss": 0.1, "thresholds": "certified"},
            r"999 samples at least .* of every class; got \d+ of class c\. .* raise max_loss",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(even, settings, message):
    pool, X, y = even
    with pytest.raises(ValueError, match=message):
        CascadeClassifier(pool, **settings, **SETTINGS).fit(X, y)


def test_a_metric_that_the_labels_do_not_have_is_refused_before_anything_is_fitted():
    class Untouched(LogisticRegression):
        def fit(self, X, y):
            raise AssertionError("fitted")

    X, y = make_classification(200, random_state=0)
    for wrong in ({"scoring": "f1", "pos_label": "yes"}, {"cost_matrix": np.zeros((3, 3))}):
        with pytest.raises(ValueError, match=r"pos_label|cost_matrix"):
            CascadeClassifier([("a", Untouched()), ("b", Untouched())], **wrong).fit(X, y)
