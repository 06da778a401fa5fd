import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from eco import CascadeClassifier, RoutingClassifier

PAIR_J = [1.0, 20.0]


def patients(n, seed=0, n_rows=6, noise=0.01):
    """Patients with a label and some nearly identical rows each: X, y and whose rows they are."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, 5))
    y = np.where(X[:, 0] + 0.7 * random.standard_normal(n) > 0, "ill", "well")
    X = np.repeat(X, n_rows, axis=0)
    groups = np.repeat([f"patient {i}" for i in range(n)], n_rows)
    return X + noise * random.standard_normal(X.shape), np.repeat(y, n_rows), groups


def by_heart():
    """The light model knows by heart whom it has seen."""
    return [("light", KNeighborsClassifier(1)), ("heavy", LogisticRegression())]


def cascade(thresholds="tuned", **settings):
    settings = {"energies": PAIR_J, "random_state": 0} | settings
    return CascadeClassifier(settings.pop("estimators", by_heart()), thresholds, **settings)


def routing(**settings):
    settings = {"energies": PAIR_J, "router_energy": 0.1, "random_state": 0} | settings
    return RoutingClassifier(by_heart(), **settings)


class Remembers(GaussianNB):
    """Remembers what it was fitted on."""

    def fit(self, X, y):
        self.seen_ = X
        return super().fit(X, y)


class TestGroups:
    def test_certified_harm_holds_for_new_patients(self):
        X_new, y_new, _ = patients(3000, seed=99, n_rows=1)

        def harm(fitted):
            last = fitted.named_estimators_["heavy"].predict_proba(X_new).argmax(axis=1)
            was_right = fitted.classes_[last] == y_new
            return (was_right & (fitted.predict(X_new) != y_new)).mean()

        bound = {"max_harm": 10, "delta": 0.1, "holdout": 0.4}
        wrong = 0
        for seed in range(6):
            X, y, groups = patients(250, seed)
            model = cascade("certified", **bound, random_state=seed).fit(X, y, groups=groups)
            wrong += harm(model) > 0.1
        assert wrong <= binom.ppf(0.99, 6, 0.1)
        with pytest.warns(UserWarning, match="nearly equal"):
            assert harm(cascade("certified", **bound).fit(X, y)) > 0.1

    def test_the_certificate_counts_groups(self):
        X, y, groups = patients(100)
        model = cascade("certified", max_harm=20, holdout=0.5)
        with pytest.raises(
            ValueError, match=r"takes 14 groups; there are 5.* Give 58 groups in all"
        ):
            model.fit(X[:120], y[:120], groups=groups[:120])
        harmed = model.fit(X, y, groups=groups).frontier_["harmed"]
        assert 0 < harmed.max() < 25
        assert ((6 * harmed).round(6) % 1 == 0).all()

    def test_the_loss_of_groups_can_not_be_certified(self):
        X, y, groups = patients(100)
        with pytest.raises(ValueError, match=r"max_harm must .* groups .* not max_loss; got None"):
            cascade("certified", max_loss=20).fit(X, y, groups=groups)

    @pytest.mark.parametrize("model", [cascade(), cascade("certified", max_harm=40), routing()])
    @pytest.mark.parametrize(
        "kind", [np.array, list, pd.Series, lambda g: np.unique(g, False, True)[1]]
    )
    def test_a_group_is_fitted_on_or_held_out_as_a_whole(self, model, kind):
        X, y, groups = patients(120)
        model = clone(model).set_params(light=Remembers(), holdout=0.5)
        model.fit(X, y, groups=kind(groups))
        seen = np.isin(X[:, 0], model.named_estimators_["light"].seen_[:, 0])
        share = pd.Series(seen).groupby(groups).mean()
        assert set(share) == {0.0, 1.0}
        assert share.mean() == pytest.approx(0.5, abs=0.05)

    def test_a_rare_class_is_on_both_sides(self):
        X, y, groups = patients(60)
        y = np.where(np.isin(groups, ["patient 3", "patient 8", "patient 9"]), "rare", y)
        y[::6] = "well"  # a group may hold several classes
        for seed in range(3):
            model = cascade(random_state=seed, holdout=0.4).fit(X, y, groups=groups)
            assert model.classes_.tolist() == ["ill", "rare", "well"]
        with pytest.raises(ValueError, match=r"only 1.*Give 3 groups of each class"):
            cascade(holdout=0.4).fit(X, np.where(groups == "patient 0", "one", y), groups=groups)

    def test_models_fitted_beforehand_are_certified_by_groups_as_well(self):
        X, y, _ = patients(100, seed=5)
        models = [(name, FrozenEstimator(model.fit(X, y))) for name, model in by_heart()]
        X, y, groups = patients(100)
        model = cascade("certified", estimators=models, max_harm=50)
        harmed = model.fit(X, y, groups=groups).frontier_["harmed"]
        assert harmed.max() < 50
        with pytest.warns(UserWarning, match="nearly equal"):
            model.fit(X, y)

    def test_groups_reach_searches(self):
        X, y, groups = patients(60)
        with config_context(enable_metadata_routing=True):
            model = cascade().set_fit_request(groups=True)
            search = GridSearchCV(model, {"max_accuracy_loss": [0.5, 50]}, cv=GroupKFold(2))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                search.fit(X, y, groups=groups)

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ([1, 2], "inconsistent numbers of samples"),
            ([[1]] * 60, None),
            ([None] * 60, "missing values"),
            ([np.nan] + [1.0] * 59, "missing values"),
            (["same"] * 60, "got 1 groups"),
        ],
    )
    def test_they_are_checked(self, groups, message):
        X, y, _ = patients(10)
        if message is None:
            groups, message = np.ones((60, 2)), "1d array"
        with pytest.raises(ValueError, match=message):
            cascade().fit(X, y, groups=groups)


class TestOnesOwnHeldOutSet:
    def test_the_models_are_fitted_on_all_the_rest(self):
        X, y, _ = patients(80, n_rows=1)
        X_val, y_val, _ = patients(60, seed=1, n_rows=1)
        models = [(name, FrozenEstimator(model.fit(X, y))) for name, model in by_heart()]
        expected = cascade(estimators=models).fit(X_val, y_val)
        own = cascade().fit(X, y, X_val=X_val, y_val=y_val)
        both, fold = np.vstack([X, X_val]), PredefinedSplit([-1] * 80 + [0] * 60)
        split = cascade(holdout=fold).fit(both, np.concatenate([y, y_val]))
        for model in (own, split):
            assert (model.chain_, model.thresholds_) == (expected.chain_, expected.thresholds_)
            assert (model.predict_proba(X_val) == expected.predict_proba(X_val)).all()

    def test_a_router_takes_one_too(self):
        X, y, groups = patients(80)
        X_val, y_val, groups_val = patients(60, seed=1)
        model = routing().set_params(light=Remembers())
        groups_val = np.char.add("new ", groups_val)
        held_out = {"X_val": X_val, "y_val": y_val, "groups_val": groups_val}
        model.fit(X, y, groups=groups, **held_out)
        assert (model.named_estimators_["light"].seen_ == X).all()

    def test_fitted_models_are_tuned_on_what_a_splitter_holds_out(self):
        X, y, _ = patients(140, n_rows=1)
        models = [(name, model.fit(X[:80], y[:80])) for name, model in by_heart()]
        fold = PredefinedSplit([-1] * 80 + [0] * 60)
        model = cascade(estimators=models, prefit=True, holdout=fold).fit(X, y)
        expected = cascade(estimators=models, prefit=True).fit(X[80:], y[80:])
        assert model.frontier_["accuracy"].tolist() == expected.frontier_["accuracy"].tolist()

    def test_groups_on_both_sides_are_refused(self):
        X, y, groups = patients(80)
        both = r"on one side of the split; \d+ of \d+ groups held out"
        with pytest.raises(ValueError, match=both), pytest.warns(UserWarning, match="ignored"):
            cascade(holdout=ShuffleSplit(1, random_state=0)).fit(X, y, groups=groups)
        cascade(holdout=GroupShuffleSplit(1, random_state=0)).fit(X, y, groups=groups)
        held_out = {"X_val": X[:60], "y_val": y[:60], "groups_val": groups[:60]}
        with pytest.raises(ValueError, match=r"10 of 10 groups held out"):
            cascade().fit(X, y, groups=groups, **held_out)

    def test_it_is_checked(self):
        X, y, _ = patients(80, n_rows=1)
        for held_out, message in (
            ({"X_val": X}, "given together"),
            ({"y_val": y}, "given together"),
            ({"groups_val": y}, "given together"),
            ({"X_val": X[:, :3], "y_val": y}, "expecting 5 features"),
            ({"X_val": X, "y_val": y[:9]}, "inconsistent numbers of samples"),
            ({"X_val": X, "y_val": np.full(80, "new")}, r"know, \['ill', 'well'\]; got \['new'\]"),
            ({"X_val": X[:0], "y_val": y[:0]}, r"0 sample\(s\)"),
        ):
            with pytest.raises(ValueError, match=message):
                cascade().fit(X, y, **held_out)
        models = [(name, model.fit(X, y)) for name, model in by_heart()]
        with pytest.raises(ValueError, match="X_val must be None where the estimators are fitted"):
            cascade(estimators=models, prefit=True).fit(X, y, X_val=X, y_val=y)
        with pytest.warns(UserWarning, match=r"held out is of class \['ill'\]"):
            cascade().fit(X, y, X_val=X[y == "well"] + 1, y_val=y[y == "well"])


def test_near_copies_across_the_split_are_named():
    X, y, groups = patients(100)
    with pytest.warns(UserWarning, match="100% of the samples held out are nearly equal.*groups"):
        cascade().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cascade().fit(X, y, groups=groups)
        cascade([0.9, 0.0]).fit(X, y)
        cascade().fit(X[::6], y[::6])


class Halves:
    """A splitter of one's own: what it is given, and no more than `split`."""

    def __init__(self, *splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        return iter(self.splits)


class TestSplitters:
    """`holdout` as an object that splits: its last split counts."""

    def test_models_learn_from_the_past_and_thresholds_come_from_the_latest_samples(self):
        X, y, _ = patients(120, n_rows=1)
        model = cascade(holdout=TimeSeriesSplit(5, gap=2)).set_params(light=Remembers())
        model.fit(X, y)  # a fifth of 120 after the first 98: the last 20
        assert (model.named_estimators_["light"].seen_ == X[:98]).all()
        own = (
            cascade()
            .set_params(light=Remembers())
            .fit(X[:98], y[:98], X_val=X[100:], y_val=y[100:])
        )
        assert model.frontier_["accuracy"].tolist() == own.frontier_["accuracy"].tolist()

    def test_whatever_has_split_is_one(self):
        X, y, _ = patients(100, n_rows=1)
        rows = np.arange(100)
        halves = Halves((rows[:10], rows[10:]), (rows[60:].tolist(), rows[:60].tolist()))
        model = cascade(holdout=halves).set_params(light=Remembers()).fit(X, y)
        assert (model.named_estimators_["light"].seen_ == X[60:]).all()

    @pytest.mark.parametrize(
        ("holdout", "message"),
        [
            (Halves(), "must give a split of the samples; .* gives none"),
            (Halves((range(60), range(50, 100))), "has 10 of 50 on both sides"),
            (Halves((range(60), [])), "at least, one for each purpose; got 0"),
            (TimeSeriesSplit(200), "number of folds=201 greater than"),
            ("0.2", "holdout must be a number above 0 and below 1; got '0.2'"),
        ],
    )
    def test_one_that_will_not_do_is_refused(self, holdout, message):
        X, y, _ = patients(100, n_rows=1)
        with pytest.raises(ValueError, match=message):
            cascade(holdout=holdout).fit(X, y)
