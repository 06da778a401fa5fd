"""Samples divided into splits: as named, or at random, groups whole."""

import numpy as np
import pytest

from eco.errors import DataError, EcoError
from eco.predictions.columns import Columns, checked
from eco.predictions.division import SPLITS, divide, division, sizes
from tests.predictions.pools import COSTS, MODELS, confidence_and_correct

SHARES = (0.4, 0.3, 0.3)


def samples(n_samples=240, **columns):
    confidence, correct = confidence_and_correct(n_samples)
    return checked(Columns(MODELS, COSTS, confidence, correct, **columns))


def test_samples_are_divided_at_random_by_shares_and_seed():
    one = divide(samples(), SPLITS, SHARES, 1)
    assert sizes(one) == {"tuning": 96, "certification": 72, "test": 72}
    again, other = divide(samples(), SPLITS, SHARES, 1), divide(samples(), SPLITS, SHARES, 2)
    confidences = [parts["test"].outcomes.confidence for parts in (one, again, other)]
    np.testing.assert_array_equal(*confidences[:2])
    assert (confidences[0] != confidences[2]).any()
    whole = np.concatenate([part.outcomes.confidence for part in one.values()])
    expected = samples().outcomes.confidence
    assert sorted(whole.tolist()) == sorted(expected.tolist())


def test_groups_stay_whole():
    groups = np.arange(240) // 5
    parts = divide(samples(groups=groups), SPLITS, SHARES, 0)
    kept = [set(part.groups) for part in parts.values()]
    assert [len(each) for each in kept] == [19, 15, 14]
    assert len(set.union(*kept)) == 48
    split = np.where(np.arange(240) < 100, "tuning", "test")
    split[99] = "test"
    with pytest.raises(DataError, match=r"in one split; row 99 is in test, another one .* tuning"):
        divide(samples(groups=groups, split=split), SPLITS, SHARES, 0)


def test_named_splits_are_kept_and_half_of_tuning_certifies_where_none_is_named():
    split = np.where(np.arange(240) < 100, "tuning", "test").astype(object)
    parts = divide(samples(split=split), SPLITS, SHARES, 0)
    assert sizes(parts) == {"tuning": 50, "certification": 50, "test": 140}
    np.testing.assert_array_equal(
        parts["test"].outcomes.confidence, samples().outcomes.confidence[100:]
    )
    split[:30] = "certification"
    parts = divide(samples(split=split), SPLITS, SHARES, 0)
    assert sizes(parts) == {"tuning": 70, "certification": 30, "test": 140}


def test_the_earliest_samples_tune_and_the_latest_test():
    days = np.random.default_rng(0).permutation(240)
    time = np.datetime64("2026-01-01") + days
    parts = divide(samples(times=time), SPLITS, SHARES, 0)
    expected = samples().outcomes.confidence
    for split, (first, end) in zip(SPLITS, [(0, 96), (96, 168), (168, 240)], strict=True):
        rows = (days >= first) & (days < end)
        np.testing.assert_array_equal(parts[split].outcomes.confidence, expected[rows])
    # Of the tuning samples, where no others certify, the later half does.
    split = np.where(days < 100, "tuning", "test")
    parts = divide(samples(times=time, split=split), SPLITS, SHARES, 0)
    rows = (days >= 50) & (days < 100)
    np.testing.assert_array_equal(parts["certification"].outcomes.confidence, expected[rows])


def test_samples_of_one_time_stay_together():
    parts = divide(samples(times=np.arange(240) // 50), SPLITS, SHARES, 0)
    assert sizes(parts) == {"tuning": 100, "certification": 50, "test": 90}
    with pytest.raises(DataError, match=r"a time at least for each of .*; got 2 in all"):
        divide(samples(times=np.arange(240) // 120), SPLITS, SHARES, 0)


def test_times_and_groups_can_not_both_divide():
    both = {"times": np.arange(240), "groups": np.arange(240) // 4}
    with pytest.raises(DataError, match=r"by time or by group, not by both; got time and group"):
        divide(samples(**both), SPLITS, SHARES, 0)
    split = np.repeat(SPLITS, 80)
    parts = divide(samples(**both, split=split), SPLITS, SHARES, 0)
    assert sizes(parts) == dict.fromkeys(SPLITS, 80)


def test_named_splits_must_follow_each_other_in_time():
    split = np.repeat(SPLITS, 80)
    divide(samples(split=split, times=np.arange(240) // 79), SPLITS, SHARES, 0)
    for times in (np.arange(240)[::-1], [*range(170), 3, *range(171, 240)]):
        with pytest.raises(DataError, match=r"time: splits must follow .*; .* begins, in row \d+,"):
            divide(samples(split=split, times=times), SPLITS, SHARES, 0)
    # What isn't used need not follow.
    split = np.repeat(["test", *SPLITS[:2]], 80)
    divide(samples(split=split, times=np.arange(240)), SPLITS[:2], (1, 1), 0)


@pytest.mark.parametrize("share", [np.nan, np.inf, 0.0, -1.0])
@pytest.mark.parametrize("place", range(3))
def test_shares_are_finite_and_positive(share, place):
    shares = [1.0, 1.0, 1.0]
    shares[place] = share
    for columns in ({}, {"times": np.arange(240)}):
        with pytest.raises(EcoError, match=rf"shares must be finite .* above 0; .*{share:g}"):
            divide(samples(**columns), SPLITS, shares, 0)


def test_times_are_checked():
    with pytest.raises(
        DataError, match=r"time, row 7: must hold a number or a date.*; got nothing"
    ):
        samples(times=[*range(7), np.nan, *range(232)])
    with pytest.raises(DataError, match=r"time: must hold 240 samples as the others; got 3"):
        samples(times=range(3))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "at random"),
        ({"groups": np.arange(240)}, "at random, each group as a whole"),
        ({"times": np.arange(240)}, "by time, from the earliest to the latest"),
        ({"split": np.repeat(SPLITS, 80)}, "as split has them"),
        (
            {"split": ["tuning"] * 240, "times": np.arange(240)},
            "by time, from the earliest to the latest",
        ),
        (
            {"split": np.repeat(["tuning", "test"], 120)},
            "as split has them, its tuning samples in two halves at random",
        ),
    ],
)
def test_the_division_is_said(columns, expected):
    assert division(samples(**columns), SPLITS) == expected


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (["train"] * 240, "split must be one of tuning, certification, test in every row; got tr"),
        (["test"] * 240, "split must name samples for tuning; got test alone"),
    ],
)
def test_other_splits_are_refused(split, message):
    with pytest.raises(DataError, match=message):
        divide(samples(split=split), SPLITS, SHARES, 0)


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match=r"a sample at least for each of .*; got 2 in all"):
        divide(samples(2), SPLITS, SHARES, 0)
    with pytest.raises(DataError, match=r"a group at least for each of .*; got 1 in all"):
        divide(samples(groups=["a"] * 240), SPLITS, SHARES, 0)


def test_a_model_costs_its_mean_on_the_tuning_samples():
    small = np.where(np.arange(240) < 100, 2.0, 9.0)
    split = np.where(np.arange(240) < 100, "tuning", "test")
    confidence, correct = confidence_and_correct()
    columns = Columns(MODELS, COSTS | {"small": small}, confidence, correct, split=split)
    parts = divide(checked(columns), SPLITS, SHARES, 0)
    for part in parts.values():
        assert part.outcomes.energy_j.tolist() == [2.0, 4.0, 20.0]
    assert (parts["test"].cost_per_sample[:, 0] == 9).all()
