"""Certificates of weighed losses and of each class: they hold, and say what they take."""

import numpy as np
import pytest
from scipy.stats import binom

from eco.errors import TargetError
from eco.strategies.bounded import (
    Limits,
    best_bet,
    from_safe_to_cheap,
    refuse_uncertifiable,
    settings_certified,
    shortage,
    wealth,
)
from eco.strategies.certification import safe_to_cheap
from eco.strategies.metrics import Metric, class_losses, make_metric
from eco.strategies.tuning import frontier
from tests.strategies.test_metrics import of_labels

DELTA, DRAWS = 0.1, 300
ALLOWED = binom.ppf(0.999, DRAWS, DELTA)
BALANCED = Metric("balanced_accuracy")


def pool(n, seed, rare=0.1):
    """Three models that see the class with more and more noise, and are as sure as they may be."""
    random = np.random.default_rng(seed)
    y = (np.arange(n) % round(1 / rare) == 0).astype(int)
    noise = np.array([1.2, 0.8, 0.4])
    seen = (2 * y - 1)[:, None] + noise * random.standard_normal((n, 3))
    p = 1 / (1 + (1 - rare) / rare * np.exp(-2 * seen / noise**2))
    return of_labels(np.maximum(p, 1 - p).round(3), (p > 0.5).astype(int), y)


@pytest.mark.parametrize(
    ("values", "shares", "largest"),
    [
        ((-1.0, 0.0), (0.03, 0.97), 1.0),
        ((-1.0, 0.0, 1.0), (0.08, 0.87, 0.05), 1.0),
        ((-1.0, -0.1, 0.0, 0.2), (0.02, 0.2, 0.73, 0.05), 1.0),
        ((-5.0, -0.5, 0.0, 5.0), (0.006, 0.02, 0.972, 0.002), 5.0),
    ],
)
def test_a_bet_that_less_is_lost_is_seldom_won_where_it_is_not_so(values, shares, largest):
    """The loss is just what it must stay below; the bet is chosen on other samples."""
    random, loss = np.random.default_rng(0), -np.dot(values, shares)
    won = powerful = 0
    for _ in range(DRAWS):
        tuning, fresh = random.choice(values, (2, 800), p=shares)
        won += wealth(fresh, loss, best_bet(tuning, loss, largest)) >= np.log(1 / DELTA)
        bet = best_bet(tuning, 3 * loss, largest)
        powerful += wealth(fresh, 3 * loss, bet) >= np.log(1 / DELTA)
    assert won <= ALLOWED
    assert powerful > DRAWS / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "limits"),
    [
        (BALANCED, Limits(3.0, DELTA)),
        (make_metric("accuracy", "ab", [[0, 1], [10, 0]]), Limits(0.4, DELTA)),
        (Metric(), Limits(50.0, DELTA, max_class_loss=4.0)),
    ],
)
def test_a_certificate_is_wrong_no_more_often_than_it_says(metric, limits):
    tuning, population = pool(1500, 0), pool(100_000, 1)
    points = from_safe_to_cheap(tuning, metric, 200, 2, limits.max_class_loss)
    points = [points[0], *points[1::8]]
    # Of classes 0 and 1, on so many samples that it counts as true.
    lost = np.array([class_losses(point.strategy, population)[1] for point in points])
    true = lost.max(axis=1)
    if metric is BALANCED:
        true = lost.mean(axis=1)
    elif metric.costs is not None:
        score = [metric.evaluate(point.strategy, population).accuracy for point in points]
        true = score[0] - np.array(score)
    bound = (limits.max_class_loss or limits.max_points) / 100
    wrong = n_certified = 0
    for draw in range(150):
        fresh = pool(1200, 10 + draw)
        count, _ = settings_certified("loss", metric, points, tuning, fresh, limits)
        n_certified += count > 1
        wrong += bool((true[:count] > bound).any())
    assert wrong <= binom.ppf(0.999, 150, DELTA)
    assert n_certified > 75


def test_all_limits_hold_at_once():
    tuning, fresh = pool(2000, 0), pool(2000, 1)
    points = from_safe_to_cheap(tuning, Metric(), 200, 2, max_class_loss=5.0)

    def count(max_points, max_class_loss):
        limits = Limits(max_points, DELTA, max_class_loss)
        return settings_certified("loss", Metric(), points, tuning, fresh, limits)[0]

    assert count(1.0, 5.0) == min(count(1.0, None), count(90.0, 5.0))
    assert count(1.0, 5.0) > 1


def test_the_order_of_accuracy_is_that_of_the_frontier_of_harm():
    unharmed = pool(500, 0).unharmed()
    expected = safe_to_cheap(frontier(unharmed, 100), unharmed)
    assert from_safe_to_cheap(pool(500, 0), Metric(), 100) == expected


def test_what_weighs_more_is_begun_with_cascades_that_accept_less():
    points = from_safe_to_cheap(pool(500, 0), BALANCED, 100)
    energies = [point.energy_j for point in points]
    assert points[0].strategy.models == ("heavy",)
    assert len(points[1].strategy.models) > 1
    assert energies[1:] == sorted(energies[1:], reverse=True)


@pytest.mark.parametrize(
    ("metric", "limits", "target"),
    [
        (Metric(), Limits(1.0, 0.05, max_class_loss=4.0), "max_class_loss"),
        (BALANCED, Limits(2.0, 0.05), "max_loss"),
        (Metric("cost_matrix"), Limits(2.0, 0.05), "max_loss"),
    ],
)
def test_too_few_samples_are_told_how_many_do(metric, limits, target):
    names, y = {0: "cat", 1: "dog"}, np.repeat([0, 1], [80, 10])
    error = shortage(metric, y, names, target, limits)
    assert error.target == target
    needed = int(error.problem.partition(" samples at least")[0].rpartition(" ")[2])
    if metric.name == "cost_matrix":
        assert "got 90" in error.problem
        enough, fewer = (np.repeat([0, 1], [needed - 10 - k, 10]) for k in (0, 5))
    else:
        assert "of every class; got 10 of class dog" in error.problem
        enough, fewer = (np.repeat([0, 1], [5000, needed - k]) for k in (0, 5))
    assert shortage(metric, enough, names, target, limits) is None
    assert shortage(metric, fewer, names, target, limits) is not None
    points = error.attainable
    changed = (limits.max_points, 0.05, points) if target == "max_class_loss" else (points, 0.05)
    assert shortage(metric, y, names, target, Limits(*changed)) is None


def test_a_class_without_samples_is_a_shortage():
    y, names = np.zeros(5000, int), {0: "cat", 1: "dog"}
    for metric, limits in ((BALANCED, Limits(2.0, 0.05)), (Metric(), Limits(2.0, 0.05, 2.0))):
        assert "got 0 of class dog" in shortage(metric, y, names, "max_loss", limits).problem


@pytest.mark.parametrize(
    ("metric", "max_class_loss", "is_grouped", "message"),
    [
        ("f1", None, False, "f1 can't be certified: it is no mean of losses of single samples"),
        ("f1_macro", 2.0, False, "Certify accuracy, balanced_accuracy or a cost_matrix"),
        ("balanced_accuracy", None, True, "balanced_accuracy can't be certified where samples"),
        ("accuracy", 2.0, True, "max_class_loss can't be certified where samples come in groups"),
    ],
)
def test_what_no_test_certifies_is_refused_by_name(metric, max_class_loss, is_grouped, message):
    with pytest.raises(TargetError, match=message):
        refuse_uncertifiable(Metric(metric), max_class_loss, is_grouped)
