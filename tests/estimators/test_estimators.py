import copy
import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import binom
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from eco import CascadeClassifier, RoutingClassifier
from eco.strategies.cascade import run_cascade
from eco.strategies.certification import samples_needed
from eco.strategies.confidence import confidence, correct, round_probabilities
from eco.strategies.routing import run_policy

ENERGY_J = [1.0, 4.0, 100.0]
PAIR_J = [1.0, 100.0]


def pair():
    return [
        ("light", GaussianNB()),
        ("heavy", LogisticRegression()),
    ]


def pool():
    return [
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("bayes", GaussianNB()),
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ]


def frozen(models, X, y):
    return [(name, FrozenEstimator(model.fit(X, y))) for name, model in models]


@cache
def digits():
    """Samples to fit the pool on, to hold out, and new ones: (X, y) of each."""
    X, y = load_digits(return_X_y=True)
    X_rest, X_new, y_rest, y_new = train_test_split(X, y, test_size=500, random_state=0)
    X_fit, X_out, y_fit, y_out = train_test_split(X_rest, y_rest, test_size=700, random_state=0)
    return (X_fit, y_fit), (X_out, y_out), (X_new, y_new)


@cache
def on_digits():
    return frozen(pool(), *digits()[0])


def cascade_on_digits(**settings):
    return CascadeClassifier(on_digits(), energies=ENERGY_J, **settings).fit(*digits()[1])


def routing_on_digits(**settings):
    parameters = {"price": 0.05, "router_energy": 0.5, "random_state": 0} | settings
    return RoutingClassifier(on_digits(), energies=ENERGY_J, **parameters).fit(*digits()[1])


def stored(model, X):
    """What every model gives, rounded as it is stored."""
    probabilities = [one.predict_proba(X) for one in model.estimators_]
    return round_probabilities(np.stack(probabilities, axis=1))


def strategies():
    yield CascadeClassifier(pair(), [0.9, 0.0], energies=PAIR_J)
    yield CascadeClassifier(pair(), [0.9, 0.0], signal="margin")
    yield CascadeClassifier(pair(), energies=PAIR_J, random_state=0)
    yield CascadeClassifier(
        pair(), "certified", energies=PAIR_J, max_harm=50, delta=0.6, holdout=0.4, random_state=0
    )
    routing = {"energies": PAIR_J, "router_energy": 0.5, "holdout": 0.3, "random_state": 0}
    yield RoutingClassifier(pair(), price=0.01, **routing)
    yield RoutingClassifier(pair(), price=0.01, probe="light", **routing)
    tuned = routing | {"holdout": 0.5, "max_accuracy_loss": 100}
    yield RoutingClassifier(pair(), KNeighborsClassifier(1), **tuned)


# The light and the heavy model of these checks cost about the same.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:estimators go from light to heavy")
@parametrize_with_checks(list(strategies()))
def test_it_keeps_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)


class TestACascade:
    @settings(deadline=None, max_examples=25)
    @given(
        st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=2, max_size=2),
        st.sampled_from(["max_probability", "margin", "entropy"]),
    )
    def test_it_answers_what_the_arithmetic_says_at_the_same_expense(self, thresholds, signal):
        thresholds, (X, _) = [*thresholds, 0.0], digits()[2]
        cascade = cascade_on_digits(thresholds=thresholds, signal=signal)
        p, rows = stored(cascade, X), np.arange(len(X))
        confidences = confidence(p, signal)
        answered_by, ran = run_cascade(confidences, np.arange(3), np.array(thresholds))
        explained = cascade.explain(X)
        assert explained["answered_by"].tolist() == [pool()[i][0] for i in answered_by]
        assert (explained["label"] == p[rows, answered_by].argmax(axis=1)).all()
        assert (explained["confidence"] == confidences[rows, answered_by]).all()
        assert explained["energy_j"].to_numpy() == pytest.approx(ran @ ENERGY_J)
        assert (explained["models_run"] == ran.sum(axis=1)).all()
        assert (cascade.predict(X) == explained["label"]).all()

    def test_a_discarded_answer_is_paid_for(self):
        X, _ = digits()[2]
        nobody_is_this_sure = cascade_on_digits(thresholds=[1.0, 1.0, 0.0], signal="entropy")
        explained = nobody_is_this_sure.explain(X)
        last = explained[explained["answered_by"] == "linear"]
        assert len(last) > 0
        assert (last["energy_j"] == sum(ENERGY_J)).all()

    def test_given_thresholds_leave_all_the_samples_to_the_models(self):
        X, y = digits()[0]
        cascade = CascadeClassifier(pool(), [0.9, 0.9, 0.0], energies=ENERGY_J).fit(X, y)
        alone = clone(pool()[-1][1]).fit(X, y)
        assert (cascade.estimators_[-1].predict_proba(X) == alone.predict_proba(X)).all()
        cascade.set_params(thresholds="tuned").fit(X, y)
        assert len(cascade.frontier_) > 0
        assert not hasattr(cascade.set_params(thresholds=[0, 0, 0]).fit(X, y), "frontier_")

    @pytest.mark.parametrize("loss", [0.0, 0.5, 2.0, 10.0])
    def test_it_is_tuned_to_lose_no_more_than_asked_where_it_was_tuned(self, loss):
        X, y = digits()[1]
        cascade = cascade_on_digits(max_accuracy_loss=loss)
        reference = cascade.named_estimators_["linear"].score(X, y)
        assert cascade.score(X, y) >= reference - loss / 100 - 1e-9

    @pytest.mark.parametrize("budget", [0.02, 0.1, 0.5])
    def test_it_is_tuned_to_stay_within_a_budget(self, budget):
        cascade = cascade_on_digits(energy_budget=budget)
        assert cascade.explain(digits()[1][0])["energy_j"].mean() <= budget * 100 + 1e-9

    def test_a_looser_target_never_costs_more(self):
        X, _ = digits()[1]
        tuned = [cascade_on_digits(max_accuracy_loss=loss) for loss in (0, 0.5, 1, 2, 5, 100)]
        costs = [cascade.explain(X)["energy_j"].mean() for cascade in tuned]
        assert costs == sorted(costs, reverse=True)
        assert costs[-1] < costs[0]

    @pytest.mark.parametrize("signal", ["max_probability", "margin", "entropy"])
    def test_the_frontier_is_what_its_settings_do_when_they_run(self, signal):
        X, y = digits()[1]
        cascade = cascade_on_digits(signal=signal)
        assert len(cascade.frontier_) > 5
        for _, row in cascade.frontier_.iterrows():
            members = [(n, m) for n, m in on_digits() if n in row["chain"]]
            energy_j = dict(zip(cascade.named_estimators_, ENERGY_J, strict=True))
            costs = [energy_j[name] for name in row["chain"]]
            one = CascadeClassifier(members, row["thresholds"], energies=costs, signal=signal)
            assert one.fit(X, y).score(X, y) == pytest.approx(row["accuracy"])
            assert one.explain(X)["energy_j"].mean() == pytest.approx(row["energy_j"])

    def test_its_models_are_not_fitted_on_what_it_is_tuned_on(self):
        """A tree knows its training samples by heart: tuned on them it would answer them all."""
        X, y = make_classification(1500, 20, n_informative=8, flip_y=0.1, random_state=0)
        by_heart = DecisionTreeClassifier(random_state=0)
        models = [("light", by_heart), ("heavy", LogisticRegression())]
        cascade = CascadeClassifier(models, energies=PAIR_J, holdout=0.4, random_state=0).fit(X, y)
        known = cascade.named_estimators_["light"].predict(X) == y
        assert 0.55 < known.mean() < 0.95
        assert cascade.frontier_["accuracy"].max() < 0.95

    @pytest.mark.slow
    @pytest.mark.parametrize("bound", [{"max_loss": 5}, {"max_harm": 5}])
    def test_a_certificate_is_wrong_no_more_often_than_it_says(self, bound):
        """Certified over and over on fresh draws of samples, and held against a large one."""
        X, y = make_classification(
            26_000, 10, n_informative=5, class_sep=0.8, flip_y=0, random_state=1
        )
        models = frozen(
            [("light", GaussianNB()), ("heavy", KNeighborsClassifier(5))], X[:400], y[:400]
        )
        X, y = X[400:], y[400:]
        p = stored(CascadeClassifier(models, [1, 0], energies=PAIR_J).fit(X[:9], y[:9]), X)
        is_correct, exceeded, cheaper = correct(p, y), 0, 0
        for seed in range(40):
            some = np.random.default_rng(seed).permutation(len(X))[:500]
            cascade = CascadeClassifier(
                models, "certified", energies=PAIR_J, delta=0.1, random_state=seed, **bound
            ).fit(X[some], y[some])
            cheaper += cascade.chain_ != ["heavy"]
            wrong = cascade.predict(X) != y
            harm, gain = (is_correct[:, 1] & wrong).mean(), (~is_correct[:, 1] & ~wrong).mean()
            exceeded += (harm if "max_harm" in bound else harm - gain) > 0.05
        assert (
            is_correct[:, 1] & ~is_correct[:, 0]
        ).mean() > 0.06  # the light model alone is no solution
        assert cheaper > 20
        assert exceeded <= binom.ppf(0.999, 40, 0.1)

    @pytest.mark.parametrize("bound", [{"max_loss": 5}, {"max_harm": 5}])
    def test_what_is_certified_comes_before_what_is_not(self, bound):
        cascade = cascade_on_digits(thresholds="certified", random_state=0, **bound)
        assert cascade.frontier_["harm"].is_monotonic_increasing
        assert ("gained" in cascade.frontier_) == ("max_loss" in bound)
        certified = cascade.frontier_["certified"].to_numpy()
        assert certified[0]
        assert not certified.all()
        assert (np.diff(certified.astype(int)) <= 0).all()
        cheapest = cascade.frontier_[certified].iloc[-1]
        assert (cheapest["chain"], list(cheapest["thresholds"])) == (
            cascade.chain_,
            cascade.thresholds_,
        )


class TestRouting:
    @settings(deadline=None, max_examples=10)
    @given(st.floats(0, 3), st.sampled_from([None, "tree", "bayes"]))
    def test_it_answers_what_the_arithmetic_says_at_the_same_expense(self, price, probe):
        X, _ = digits()[2]
        routing, names = copy.copy(routing_with(probe)), [name for name, _ in pool()]
        routing.price_ = price
        at = None if probe is None else names.index(probe)
        p, rows = stored(routing, X), np.arange(len(X))
        scores = routing.router_.predict_proba(X if at is None else np.float32(p[:, at]))
        confidences = confidence(p, "max_probability")
        answered_by, ran = run_policy(scores, confidences, np.array(ENERGY_J), price, probe=at)
        explained = routing.explain(X)
        assert explained["answered_by"].tolist() == [names[i] for i in answered_by]
        assert (explained["label"] == p[rows, answered_by].argmax(axis=1)).all()
        assert explained["energy_j"].to_numpy() == pytest.approx(ran @ ENERGY_J + 0.5)
        assert (explained["models_run"] == ran.sum(axis=1)).all()

    def test_a_probe_is_paid_for_on_every_sample(self):
        explained = routing_with("bayes").explain(digits()[2][0])
        others = explained[explained["answered_by"] != "bayes"]
        assert (explained["energy_j"] >= 4.5).all()
        assert others["energy_j"].isin([1 + 4 + 0.5, 100 + 4 + 0.5]).all()
        assert len(others) > 0

    def test_a_looser_target_never_costs_more(self):
        tuned = [routing_on_digits(price="tuned", max_accuracy_loss=at) for at in (8, 20, 100)]
        prices = [routing.price_ for routing in tuned]
        assert prices == sorted(prices)
        costs = [routing.explain(digits()[1][0])["energy_j"].mean() for routing in tuned]
        assert costs == sorted(costs, reverse=True)
        assert costs[-1] < costs[0]

    def test_the_price_is_the_best_within_a_budget_that_the_router_is_part_of(self):
        routing = routing_on_digits(price="tuned", energy_budget=0.3, margin_se=0)
        assert routing.frontier_["energy_j"].min() >= 1.5
        chosen = routing.frontier_[routing.frontier_["price"] == routing.price_].iloc[0]
        affordable = routing.frontier_[routing.frontier_["energy_share"] <= 0.3]
        assert chosen["accuracy"] == affordable["accuracy"].max()

    def test_the_price_is_not_tuned_on_samples_that_the_router_knows(self):
        """A nearest neighbour knows them by heart: on them it would pick as the oracle does."""
        by_heart = KNeighborsClassifier(1)
        routing = routing_on_digits(router=by_heart, price="tuned", max_accuracy_loss=100)
        X, y = digits()[1]
        oracle = np.any([model.predict(X) == y for model in routing.estimators_], axis=0)
        assert routing.frontier_["accuracy"].max() < oracle.mean() - 0.02

    def test_a_router_may_give_an_array_per_model(self):
        forest = RandomForestClassifier(20, random_state=0)
        routing = routing_on_digits(router=forest, price=0.1)
        (X, y), (X_new, y_new) = digits()[1:]
        is_correct = np.stack([model.predict(X) == y for model in routing.estimators_], axis=1)
        alone = clone(forest).set_params(random_state=0)
        assert set(routing.explain(X_new)["answered_by"]) > {"linear"}
        assert alone.fit(X, is_correct.astype(int)).predict_proba(X)[0].shape == (len(X), 2)
        assert routing.score(X_new, y_new) > 0.8

    def test_a_model_that_is_always_right_is_no_trouble(self):
        X, y = make_classification(300, 5, n_redundant=0, class_sep=3, flip_y=0, random_state=0)
        forest = RandomForestClassifier(5, random_state=0)
        for router in (None, forest):
            routing = RoutingClassifier(
                pair(), router, price=0.1, energies=PAIR_J, router_energy=0.5, random_state=0
            )
            assert routing.fit(X, y).score(X, y) > 0.9


class Lookup(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are its samples."""

    def __init__(self, n_classes):
        self.n_classes = n_classes
        self.classes_ = np.arange(n_classes)

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return X


def lookup_cascade(n_classes, signal):
    models = [(name, FrozenEstimator(Lookup(n_classes))) for name in ("light", "heavy")]
    return CascadeClassifier(models, [0.5, 0.0], energies=PAIR_J, signal=signal)


def lookup_routing(n_classes, signal):
    models = [(name, FrozenEstimator(Lookup(n_classes))) for name in ("light", "heavy")]
    router = {"router": KNeighborsClassifier(1), "price": 0.1, "router_energy": 0.5}
    return RoutingClassifier(models, probe="light", energies=PAIR_J, signal=signal, **router)


NEARLY_UNIFORM = np.random.default_rng(0).dirichlet(np.full(1000, 1e6), 40)


@pytest.mark.parametrize(
    "p",
    [
        pytest.param(np.array([[0.49998, 0.50002], [0.50002, 0.49998]]), id="two"),
        pytest.param(np.array([[0.5 - 1e-12, 0.5 + 1e-12], [0.5, 0.5]]), id="finer than float32"),
        pytest.param(NEARLY_UNIFORM, id="1,000"),
        pytest.param(NEARLY_UNIFORM.astype(np.float32), id="1,000 in float32"),
        pytest.param(np.full((3, 20_001), 1 / 20_001), id="20,001"),
    ],
)
@pytest.mark.parametrize(
    ("make", "signal"),
    [
        (lookup_cascade, "max_probability"),
        (lookup_cascade, "margin"),
        (lookup_cascade, "entropy"),
        (lookup_routing, "max_probability"),
    ],
)
@pytest.mark.filterwarnings("ignore:none of the samples held out:UserWarning")
def test_labels_and_probabilities_are_those_of_the_model_that_answers(make, p, signal):
    model = make(p.shape[1], signal).fit(p, np.arange(len(p)) % 2)
    explained = model.explain(p)
    assert (model.predict_proba(p) == p).all()
    assert (model.predict(p) == p.argmax(axis=1)).all()
    assert (explained["label"] == p.argmax(axis=1)).all()
    assert explained["confidence"].between(0, 0.6).all()
    assert model.predict(p[:1]).tolist() == [p[0].argmax()]


@cache
def routing_with(probe):
    return routing_on_digits(probe=probe)


BOTH = pytest.mark.parametrize("make", [cascade_on_digits, routing_on_digits])


@BOTH
def test_a_pickle_and_a_clone_that_is_fitted_answer_the_same(make):
    (X, y), (X_new, _) = digits()[1:]
    model = make()
    expected = model.predict_proba(X_new)
    again = clone(model)
    assert not hasattr(again, "classes_")
    assert (again.fit(X, y).predict_proba(X_new) == expected).all()
    assert (pickle.loads(pickle.dumps(model)).predict_proba(X_new) == expected).all()


@BOTH
@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(40)))
def test_samples_do_not_affect_each_other(make, order):
    model, X = fitted(make), digits()[2][0][:40]
    expected, explained = fitted(make).predict(X), model.explain(X[order])
    assert (explained["label"] == expected[order]).all()
    assert explained["energy_j"].tolist() == model.explain(X)["energy_j"].to_numpy()[order].tolist()


@cache
def fitted(make):
    return make()


@BOTH
def test_probabilities_are_those_of_the_model_that_answers(make):
    model, (X, _) = fitted(make), digits()[2]
    p, explained = model.predict_proba(X), model.explain(X)
    assert p.sum(axis=1) == pytest.approx(1)
    assert (model.classes_[p.argmax(axis=1)] == explained["label"]).all()
    for name, rows in explained.groupby("answered_by").groups.items():
        alone = model.named_estimators_[name].predict_proba(X[rows])
        assert abs(p[rows] - alone).max() < 1e-3


def flowers():
    """A frame of mixed columns with an index of its own, and labels in words."""
    X, y = make_classification(
        400, 4, n_classes=3, n_informative=4, n_redundant=0, n_clusters_per_class=1, random_state=0
    )
    table = pd.DataFrame(X, columns=list("abcd"), index=[f"plant {i}" for i in range(400)])
    return table.assign(soil=np.where(X[:, 0] > 0, "clay", "sand")), np.array(["ox", "ay", "eye"])[
        y
    ]


def for_flowers():
    columns = make_column_transformer(
        (StandardScaler(), list("abcd")), (OneHotEncoder(), ["soil"]), sparse_threshold=0
    )
    return columns, [
        ("light", make_pipeline(columns, GaussianNB())),
        ("heavy", make_pipeline(columns, LogisticRegression())),
    ]


def test_frames_and_labels_in_words_go_in_and_come_out():
    X, y = flowers()
    columns, models = for_flowers()
    router = make_pipeline(columns, KNeighborsClassifier())
    for model in (
        CascadeClassifier(models, [0.9, 0.0], energies=PAIR_J),
        CascadeClassifier(models, energies=PAIR_J, random_state=0),
        RoutingClassifier(
            models, router, price=0.01, energies=PAIR_J, router_energy=0.5, random_state=0
        ),
        RoutingClassifier(
            models, price=0.01, probe="light", energies=PAIR_J, router_energy=0.5, random_state=0
        ),
    ):
        explained = model.fit(X, y).explain(X[::-1])
        assert explained.index.tolist() == X.index[::-1].tolist()
        assert explained["label"].tolist() == model.predict(X)[::-1].tolist()
        assert model.classes_.tolist() == ["ay", "eye", "ox"]
        assert model.feature_names_in_.tolist() == [*"abcd", "soil"]
        assert model.score(X, y) > 0.7
        with pytest.raises(ValueError, match="feature names"):
            model.predict(X.rename(columns={"a": "z"}))


def test_texts_are_samples_as_well():
    texts, y = ["good day", "bad night", "good night", "bad day"] * 10, [1, 0, 1, 0] * 10
    models = [
        (name, make_pipeline(CountVectorizer(), model))
        for name, model in (("light", MultinomialNB()), ("heavy", LogisticRegression()))
    ]
    cascade = CascadeClassifier(models, [0.8, 0.0], energies=PAIR_J).fit(texts, y)
    assert cascade.predict(["a good one", "a bad one"]).tolist() == [1, 0]


def test_missing_values_are_the_business_of_the_models():
    X, y = make_classification(200, 5, random_state=0)
    X[::7, 0] = np.nan
    stumps = [
        ("light", HistGradientBoostingClassifier(max_iter=2)),
        ("heavy", HistGradientBoostingClassifier(max_iter=20)),
    ]
    assert CascadeClassifier(stumps, [0.9, 0.0], energies=PAIR_J).fit(X, y).score(X, y) > 0.8
    with pytest.raises(ValueError, match="contains NaN"):
        CascadeClassifier(pair(), [0.9, 0.0], energies=PAIR_J).fit(X, y)


def test_it_can_be_searched_and_cross_validated():
    X, y = make_classification(300, 6, random_state=0)
    cascade = CascadeClassifier(pair(), [0.9, 0.0], energies=PAIR_J)
    grid = {"thresholds": [[0.0, 0.0], [0.9, 0.0]], "heavy__C": [0.01, 1.0]}
    search = GridSearchCV(cascade, grid, cv=2).fit(X, y)
    assert search.best_params_["heavy__C"] == search.best_estimator_.named_estimators_["heavy"].C
    ready = CascadeClassifier(frozen(pair(), X, y), [0.9, 0.0], energies=PAIR_J)
    assert cross_val_score(ready, X, y, cv=2).min() > 0.7


@pytest.mark.parametrize(
    "numbers", [np.array, tuple, pd.Series, lambda n: dict(zip(["light", "heavy"], n, strict=True))]
)
def test_numbers_come_in_whatever_holds_them(numbers):
    X, y = make_classification(300, 6, random_state=0)
    expected = CascadeClassifier(pair(), [0.9, 0.0], energies=PAIR_J).fit(X, y).explain(X)
    cascade = CascadeClassifier(pair(), numbers([0.9, 0.0]), energies=numbers(PAIR_J))
    pd.testing.assert_frame_equal(clone(cascade).fit(X, y).explain(X), expected)
    grid = {"thresholds": [numbers([0.0, 0.0]), numbers([0.9, 0.0])], "energies": [numbers(PAIR_J)]}
    assert GridSearchCV(cascade, grid, cv=2).fit(X, y).best_estimator_.chain_ == ["light", "heavy"]


def test_numbers_by_name_are_in_any_order():
    X, y = make_classification(300, 6, random_state=0)
    thresholds, energies = {"heavy": 0.0, "light": 0.9}, pd.Series({"heavy": 100.0, "light": 1.0})
    cascade = CascadeClassifier(pair(), thresholds, energies=energies).fit(X, y)
    assert (cascade.thresholds_, cascade.energies_.tolist()) == ([0.9, 0.0], PAIR_J)


class OnlyIndices(GaussianNB):
    """Takes no labels but 0, 1, ..., as XGBoost's classifier does."""

    def fit(self, X, y):
        if not np.array_equal(np.unique(y), np.arange(len(np.unique(y)))):
            raise ValueError(f"Invalid classes: {np.unique(y)}")
        return super().fit(X, y)


@pytest.mark.parametrize("labels", [["no", "maybe", "yes"], [1, 2, 3], [-1.0, 0.0, 7.0]])
def test_models_that_take_indices_only_are_given_indices(labels):
    X, y = flowers()
    X, y = X[list("abcd")], np.array(labels)[np.unique(y, return_inverse=True)[1]]
    models = [("light", OnlyIndices()), ("heavy", LogisticRegression())]
    for model in (
        CascadeClassifier(models, energies=PAIR_J, random_state=0),
        RoutingClassifier(models, energies=PAIR_J, router_energy=0.5, random_state=0),
    ):
        assert model.fit(X, y).classes_.tolist() == sorted(labels)
        assert set(model.predict(X)) == set(labels)
        assert model.score(X, y) > 0.7


def test_weights_of_classes_keep_their_labels():
    X, y = make_classification(200, 5, flip_y=0.3, random_state=0)
    words = np.where(y, "yes", "no")
    heavy = make_pipeline(LogisticRegression(class_weight={"yes": 10, "no": 1}))
    cascade = CascadeClassifier([("heavy", heavy)], [0.0], energies=[1.0]).fit(X, words)
    assert (cascade.predict_proba(X)[:, 1] > 0.5).tolist() == (
        clone(heavy).fit(X, words).predict_proba(X)[:, 1] > 0.5
    ).tolist()
    wrong = LogisticRegression(class_weight={0: 1, 1: 10})
    with pytest.raises(ValueError, match="are not in class_weight"):
        CascadeClassifier([("wrong", wrong)], [0.0], energies=[1.0]).fit(X, words)


def test_a_fitted_model_among_others_keeps_its_labels():
    X, y = make_classification(200, 5, random_state=0)
    words = np.where(y, "yes", "no")
    models = [frozen(pair()[:1], X, words)[0], pair()[1]]
    cascade = CascadeClassifier(models, [0.9, 0.0], energies=PAIR_J).fit(X, words)
    assert cascade.score(X, words) > 0.8


class TestAClassThatVanishes:
    X, y = make_classification(
        2000, 10, n_informative=6, weights=[0.97], class_sep=2, flip_y=0, random_state=0
    )

    def models(self):
        return [("always no", DummyClassifier()), ("tree", DecisionTreeClassifier(random_state=0))]

    def strategies(self, **settings):
        settings = {"energies": PAIR_J, "random_state": 0, "max_accuracy_loss": 5} | settings
        yield CascadeClassifier(self.models(), **settings)
        yield CascadeClassifier(
            self.models(), "certified", max_harm=8, energies=PAIR_J, holdout=0.4, random_state=0
        )
        yield RoutingClassifier(self.models(), router_energy=0.5, **settings)
        yield RoutingClassifier(self.models(), router_energy=0.5, **settings | {"price": 3.0})

    def test_it_is_named(self):
        for strategy in self.strategies():
            with pytest.warns(
                UserWarning, match=r"never answers 1 of 2 classes .* does, 'yes', on"
            ):
                strategy.fit(self.X, np.where(self.y, "yes", "no"))
            assert set(strategy.predict(self.X)) == {"no"}

    def test_nothing_is_said_where_it_is_answered(self):
        strategy = CascadeClassifier(
            self.models(), energies=PAIR_J, max_accuracy_loss=0.2, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            strategy.fit(self.X, self.y)
        assert set(strategy.predict(self.X)) == {0, 1}


@pytest.mark.parametrize("container", ["texts", "sparse", "mixed", "images"])
def test_a_router_that_cannot_read_the_samples_says_what_to_give(container):
    X, y = flowers()
    numbers = X[list("abcd")].to_numpy()
    samples = {
        "texts": [f"on {row}" for row in X["soil"]],
        "sparse": sparse.csr_array(abs(numbers)),
        "mixed": X,
        "images": numbers.reshape(-1, 2, 2),
    }
    routing = RoutingClassifier(
        [(n, DummyClassifier()) for n in ("light", "heavy")],
        price=0.1,
        energies=PAIR_J,
        router_energy=0.5,
    )
    with pytest.raises((ValueError, TypeError), match=r"router, by default .*router=.*probe="):
        routing.fit(samples[container], y)
    probing = clone(routing).set_params(probe="light").fit(samples[container], y)
    assert len(probing.predict(samples[container])) == len(y)


def test_sample_weights_reach_the_models_that_want_them():
    X, y = make_classification(200, 5, flip_y=0.3, random_state=0)
    weights = np.where(y == 1, 10.0, 1.0)
    models = [
        ("light", GaussianNB()),
        ("heavy", LogisticRegression()),
    ]
    with config_context(enable_metadata_routing=True):
        models[0][1].set_fit_request(sample_weight=False)
        models[1][1].set_fit_request(sample_weight=True)
        cascade = CascadeClassifier(models, [0.9, 0.0], energies=PAIR_J)
        cascade.fit(X, y, sample_weight=weights)
        tuned = clone(cascade).set_params(thresholds="tuned", random_state=0)
        assert tuned.fit(X, y, sample_weight=weights).chain_
    weighted = LogisticRegression().fit(X, y, sample_weight=weights)
    assert (cascade.named_estimators_["heavy"].coef_ == weighted.coef_).all()
    assert (cascade.named_estimators_["light"].theta_ == GaussianNB().fit(X, y).theta_).all()


class TestModelsFittedBeforehand:
    def test_they_are_used_as_they_are(self):
        (X, y), (X_out, y_out), _ = digits()
        models = [(name, model.fit(X, y)) for name, model in pool()]
        prefit = CascadeClassifier(models, energies=ENERGY_J, prefit=True).fit(X_out, y_out)
        assert prefit.estimators_ == [model for _, model in models]
        ready = cascade_on_digits()
        assert (prefit.chain_, prefit.thresholds_) == (ready.chain_, ready.thresholds_)

    def test_anything_that_gives_probabilities_will_do(self):
        class Sign:
            classes_ = np.array(["minus", "plus"])

            def predict_proba(self, X):
                return np.column_stack([X[:, 0] < 0, X[:, 0] >= 0]).astype(float)

        X = np.array([[-1.0], [2.0], [3.0]])
        y = ["minus", "plus", "plus"]
        cascade = CascadeClassifier([("sign", Sign())], [0.0], energies=[1.0], prefit=True)
        assert clone(cascade).fit(X, y).predict(X).tolist() == y
        with pytest.raises(ValueError, match=r"with fit and predict_proba; .*Set prefit=True"):
            cascade.set_params(prefit=False).fit(X, y)

    def test_classes_that_are_not_held_out_are_named(self):
        X, y = digits()[1]
        cascade = CascadeClassifier(on_digits(), energies=ENERGY_J)
        with pytest.warns(UserWarning, match=r"none of the samples held out is of class \[8, 9\]"):
            cascade.fit(X[y < 8], y[y < 8])


class TestEnergies:
    def test_cpu_time_tells_a_heavy_model_from_a_light_one(self):
        (X, y), _, _ = digits()
        models = [
            ("light", DecisionTreeClassifier()),
            ("heavy", RandomForestClassifier(100, random_state=0)),
        ]
        cascade = CascadeClassifier(models, [0.9, 0.0]).fit(X, y)
        light, heavy = cascade.energies_
        assert 0 < 5 * light < heavy
        routing = RoutingClassifier(models, price=0.1, random_state=0).fit(X, y)
        assert 0 < routing.router_energy_ < routing.energies_[1]

    @pytest.mark.slow
    def test_measured_energies_come_with_their_readings(self):
        alone = [("alone", RandomForestClassifier(20, random_state=0))]
        cascade = CascadeClassifier(alone, [0.0], energies="measured", measure_s=0.1)
        (X, y), _, _ = digits()
        (row,) = cascade.fit(X, y).measurement_.rows
        assert row.name == "alone"
        assert row.energy_j_low <= cascade.energies_[0] <= row.energy_j_high
        assert cascade.explain(X[:2])["energy_j"].tolist() == [row.energy_j] * 2

    def test_models_out_of_order_are_named(self):
        cascade = CascadeClassifier(pair(), [0.9, 0.0], energies=[2.0, 1.0])
        with pytest.warns(UserWarning, match="but light costs more than heavy"):
            cascade.fit(*make_classification(random_state=0))


class Crooked(ClassifierMixin, BaseEstimator):
    """Gives numbers that are no probabilities, or not one for each class."""

    def __init__(self, row=(0.5, 0.6), only_from=-np.inf):
        self.row = row
        self.only_from = only_from

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.where(X[:, :1] >= self.only_from, [self.row], 1 / len(self.row))


def X_y(n_samples=60):
    return make_classification(n_samples, 4, n_redundant=0, random_state=0)

    def test_a_margin_moves_a_tuned_cascade_away_from_the_limit(self):
        X, y = make_classification(3000, 10, n_informative=5, flip_y=0.1, random_state=1)
        pool = frozen([("light", GaussianNB()), ("heavy", KNeighborsClassifier(9))], X, y)
        settings = {"energies": PAIR_J, "max_accuracy_loss": 2.0, "settings_per_chain": 200}
        bold, careful = (
            CascadeClassifier(pool, margin_se=margin, **settings).fit(X, y) for margin in (0, 2)
        )
        reference = dict(pool)["heavy"].score(X, y)
        assert reference - bold.score(X, y) <= 0.02
        assert bold.score(X, y) < careful.score(X, y)
        assert bold.explain(X)["energy_j"].mean() < careful.explain(X)["energy_j"].mean()


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"thresholds": [0.5]}, r"thresholds must be 2 numbers.*got \[0\.5\]"),
            ({"thresholds": [0.5, 0.5]}, r"the last of them 0\.0, or .*; got \[0\.5, 0\.5\]"),
            ({"thresholds": [1.5, 0.0]}, r"from 0 to 1.*got \[1\.5, 0\.0\]"),
            ({"thresholds": [np.nan, 0.0]}, r"from 0 to 1.*got \[nan, 0\.0\]"),
            ({"thresholds": "best"}, r"thresholds must be .*'tuned' or 'certified'; got 'best'"),
            ({"energies": [1.0]}, r"energies must be 2 positive numbers.*got \[1\.0\]"),
            ({"energies": [0.0, 1.0]}, r"energies must be 2 positive numbers"),
            ({"energies": [1.0, np.inf]}, r"energies must be 2 positive numbers"),
            (
                {"energies": "guessed"},
                r"'cpu_time' or 'measured'; got 'guessed'",
            ),
            ({"signal": "hunch"}, r"signal must be one of 'max_probability', .*; got 'hunch'"),
            (
                {"max_accuracy_loss": -1},
                "a number at least 0 and at most 100; got -1",
            ),
            (
                {"energy_budget": 0.0},
                r"energy_budget must .* above 0 and at most 1, or None; got 0\.0",
            ),
            ({"energy_budget": 1.5}, r"energy_budget must .* at most 1, or None; got 1\.5"),
            ({"margin_se": -1}, "margin_se must be a number at least 0; got -1"),
            ({"max_loss": 0}, r"max_loss must be a number above 0 and below 100; got 0"),
            ({"holdout": 1.0}, r"holdout must be a number above 0 and below 1; got 1\.0"),
            ({"random_state": -1}, r"random_state must be a whole number at least 0 .*; got -1"),
            ({"prefit": "yes"}, "prefit must be True or False; got 'yes'"),
            ({"settings_per_chain": 2.5}, r"must be a whole number at least 1; got 2\.5"),
            ({"watts_per_core": np.inf}, "watts_per_core must be a number above 0; got inf"),
            ({"watts_per_core": True}, "watts_per_core must be a number above 0; got True"),
            ({"settings_per_chain": True}, "must be a whole number at least 1; got True"),
            ({"energies": [True, 2.0]}, "energies must be 2 positive numbers"),
            ({"energies": ["1", 2.0]}, "energies must be 2 positive numbers"),
            ({"energies": None}, "energies must be 2 positive numbers"),
            ({"energies": {"light": 1.0}}, "energies must be 2 positive numbers"),
            ({"energies": {"light": 1.0, "x": 2.0}}, "energies must be 2 positive numbers"),
            ({"energies": pd.Series({"light": 1.0, "x": 2.0})}, "must be 2 positive numbers"),
            ({"energies": np.ones((2, 1))}, "energies must be 2 positive numbers"),
            ({"thresholds": {"light": 0.5, "heavy": 0.5}}, r"the last of them 0\.0"),
            ({"holdout": "kfold"}, "holdout must be a number above 0 and below 1; got 'kfold'"),
            (
                {"estimators": [("holdout", GaussianNB()), pair()[1]]},
                "not as a parameter of",
            ),
            ({"estimators": [("a__b", GaussianNB()), pair()[1]]}, "without '__'"),
            ({"delta": 0.0}, r"delta must be a number above 0 and below 1; got 0\.0"),
            ({"max_harm": 0}, r"max_harm must be a number above 0 and below 100, or None; got 0"),
            ({"energy_budget": 0.001}, r"at most 0\.001 .*met is 0\.0100.*Raise energy_budget"),
            ({"estimators": []}, r"list of 1 or more \(name, classifier\) tuples.*got \[\]"),
            ({"estimators": [GaussianNB()]}, r"\(name, classifier\) tuples"),
            ({"estimators": pair()[:1] * 2}, "unique"),
            (
                {"estimators": [("svm", LinearSVC()), pair()[1]]},
                r"'svm' must be a classifier with fit and predict_proba; got LinearSVC",
            ),
            (
                {"estimators": [("bayes", GaussianNB), pair()[1]]},
                r"'bayes' must be a classifier with fit and predict_proba",
            ),
            (
                {"estimators": [("crooked", Crooked()), pair()[1]]},
                r"model 'crooked' must return probabilities.*row 0 is \[0\.5, 0\.6\]",
            ),
            (
                {"estimators": [pair()[0], ("crooked", Crooked([0.2, 0.3, 0.5]))]},
                r"estimator 'crooked' must give 2 probabilities.*got 3",
            ),
        ],
    )
    def test_a_parameter_is_named_with_what_must_hold(self, settings, message):
        parameters = {"estimators": pair(), "energies": PAIR_J} | settings
        with pytest.raises(ValueError, match=message) as error:
            CascadeClassifier(**parameters).fit(*X_y())
        assert "params.yaml" not in str(error.value)

    def test_a_model_that_goes_wrong_later_is_named(self):
        X, y = X_y()
        models = [("unsure", Crooked([0.5, 0.5])), ("crooked", Crooked(only_from=1e6))]
        cascade = CascadeClassifier(models, [0.9, 0.0], energies=PAIR_J).fit(X, y)
        assert cascade.predict(X).shape == y.shape
        with pytest.raises(ValueError, match=r"model 'crooked' must return probabilities"):
            cascade.predict(X + 2e6)

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            (np.full((60, 4), np.nan), X_y()[1], "contains NaN"),
            (np.full((60, 4), np.inf), X_y()[1], "contains infinity"),
            (X_y()[0], X_y()[1][:-1], "inconsistent numbers of samples"),
            (X_y()[0], np.full(60, np.nan), "contains NaN"),
            (X_y()[0], X_y()[0][:, 0], "Unknown label type"),
            (X_y()[0][:0], X_y()[1][:0], r"0 sample\(s\)"),
            (X_y()[0], np.full(60, "a"), "got 1 class, 'a'"),
        ],
    )
    def test_samples_and_labels_are_checked(self, X, y, message):
        with pytest.raises(ValueError, match=message):
            CascadeClassifier(pair(), energies=PAIR_J, random_state=0).fit(X, y)

    def test_what_was_fitted_says_what_it_takes(self):
        X, y = X_y()
        cascade = CascadeClassifier(pair(), [0.9, 0.0], energies=PAIR_J)
        with pytest.raises(NotFittedError):
            cascade.predict(X)
        cascade.fit(X, y)
        for wrong, message in (
            (X[:, :3], "expecting 4 features"),
            (X[0], "Reshape your data"),
            (X[:0], r"0 sample\(s\)"),
            (np.full((1, 4), np.nan), "contains NaN"),
        ):
            with pytest.raises(ValueError, match=message):
                cascade.predict(wrong)

    def test_too_few_samples_to_hold_out_are_told_how_many_do(self):
        X, y = X_y()
        y = np.where(np.arange(60) == 7, "rare", np.where(y, "a", "b"))
        cascade = CascadeClassifier(pair(), energies=PAIR_J, random_state=0)
        with pytest.raises(ValueError, match=r"class 'rare' only 1.*Give 5 samples of each"):
            cascade.fit(X, y)
        with pytest.raises(ValueError, match=r"got 4 samples.*Give 5 samples of each"):
            cascade.fit(X[:4], ["a", "b", "a", "b"])
        assert cascade.fit(X[:10], ["a", "b"] * 5).chain_

    @pytest.mark.parametrize("of", ["loss", "harm"])
    @pytest.mark.parametrize("prefit", [False, True])
    def test_too_few_samples_to_certify_are_told_how_many_do(self, prefit, of):
        X, y = make_classification(1500, 4, n_redundant=0, random_state=0)
        models = frozen(pair(), X, y) if prefit else pair()
        cascade = CascadeClassifier(models, "certified", energies=PAIR_J, **{f"max_{of}": 5})
        needed = samples_needed(of, 0.05, 0.05)
        enough = (2 * needed + 1) * (1 if prefit else 5)
        with pytest.raises(
            ValueError,
            match=rf"certify {of} .*takes {needed} samples.*Give {enough} samples in all",
        ):
            cascade.fit(X[:100], y[:100])
        assert cascade.fit(X[:enough], y[:enough]).frontier_["certified"].any()

    def test_models_must_know_the_same_classes(self):
        X, y = X_y()
        words = np.where(y, "yes", "no")
        models = [("light", GaussianNB().fit(X, y)), ("heavy", LogisticRegression().fit(X, words))]
        cascade = CascadeClassifier(models, energies=PAIR_J, prefit=True)
        with pytest.raises(ValueError, match=r"'light' knows \[0, 1\], 'heavy' knows \['no'"):
            cascade.fit(X, y)
        cascade = CascadeClassifier(models[:1], energies=[1.0], prefit=True)
        with pytest.raises(ValueError, match=r"know, \[0, 1\]; got \['no', 'yes'\] as well"):
            cascade.fit(X, words)

    def test_a_model_said_to_be_fitted_must_be(self):
        cascade = CascadeClassifier(pair(), energies=PAIR_J, prefit=True)
        with pytest.raises(NotFittedError, match="'light' must be fitted"):
            cascade.fit(*X_y())

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"estimators": pair()[:1], "energies": [1.0]}, "list of 2 or more"),
            ({"probe": "tiny"}, r"probe must be one of \['light'\], not the last.*got 'tiny'"),
            ({"probe": "heavy"}, r"probe must be one of .*not the last.*got 'heavy'"),
            ({"price": -1.0}, r"price must be a number at least 0, or 'tuned'; got -1\.0"),
            ({"router_energy": None}, "router_energy must be a number at least 0; got None"),
            ({"energies": "cpu_time"}, "router_energy must be None unless energies are numbers"),
            (
                {"router": LinearSVC()},
                "router must be .*predict_proba, or None; got LinearSVC",
            ),
            (
                {"router": LogisticRegression()},
                r"router, LogisticRegression\(\), must learn 2 targets .* multi-label classifier",
            ),
            ({"router": Crooked([1.0])}, "must give 2 probabilities per sample.*shape"),
            (
                {"price": "tuned", "energy_budget": 0.001},
                r"at most 0\.001 .*can be met is .*Raise energy_budget",
            ),
        ],
    )
    def test_a_router_is_checked_as_well(self, settings, message):
        parameters = {
            "estimators": pair(),
            "price": 0.1,
            "energies": PAIR_J,
            "router_energy": 0.5,
            "random_state": 0,
        }
        with pytest.raises(ValueError, match=message):
            RoutingClassifier(**parameters | settings).fit(*X_y(200))
