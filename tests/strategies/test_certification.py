import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from eco.strategies.certification import (
    BOUNDS,
    MEASURES,
    NotCertified,
    certified_up_to,
    certify,
    harm_certified_up_to,
    harm_limit,
    harmed,
    losses,
    resplit_violations,
    safe_to_cheap,
    samples_needed,
)
from eco.strategies.outcomes import Outcomes, RouterOutcome
from eco.strategies.routing import KINDS
from eco.strategies.strategy import always
from eco.strategies.tuning import evaluate, frontier
from tests.strategies.pools import ENERGY_J, make_outcomes, outcomes

counts = st.lists(st.integers(0, 40), min_size=1, max_size=12).map(np.array)
N = 500


def test_harm_is_where_only_the_last_model_is_correct():
    correct = np.array([[1, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]], bool)
    harm = harmed(always("light"), make_outcomes(np.ones((4, 3)), correct))
    assert harm.tolist() == [False, True, False, False]


@settings(deadline=None)
@given(counts, st.floats(0.005, 0.2), st.floats(0.01, 0.3))
def test_testing_stops_at_the_first_setting_that_fails(n_harmed, max_harm, delta):
    p_values = binom.cdf(n_harmed, N, max_harm)
    passing = p_values <= delta
    expected = len(passing) if passing.all() else int(passing.argmin())
    assert harm_certified_up_to(n_harmed, N, np.array([max_harm]), delta)[0] == expected


@settings(deadline=None)
@given(counts, st.floats(0.005, 0.2), st.floats(0, 0.2), st.floats(0.01, 0.3), st.floats(0, 0.3))
def test_certificates_are_monotone_in_the_bound_and_in_delta(n_harmed, bound, more, delta, looser):
    strict = harm_certified_up_to(n_harmed, N, np.array([bound]), delta)
    assert harm_certified_up_to(n_harmed, N, np.array([bound + more]), delta) >= strict
    assert harm_certified_up_to(n_harmed, N, np.array([bound]), delta + looser) >= strict


def test_so_many_samples_are_needed_and_no_more():
    for max_harm, delta in ((0.005, 0.05), (0.02, 0.1), (0.001, 0.01)):
        n = samples_needed("harm", max_harm, delta)
        none = np.array([0])
        assert harm_certified_up_to(none, n, np.array([max_harm]), delta)[0] == 1
        assert harm_certified_up_to(none, n - 1, np.array([max_harm]), delta)[0] == 0


def test_the_limit_of_one_setting_is_the_bound_that_it_just_passes():
    limit = harm_limit(7, 2000, 0.05)
    assert binom.cdf(7, 2000, limit) == pytest.approx(0.05)


def test_certificates_are_wrong_no_more_often_than_they_say():
    """Settings of known harm, certified on fresh samples over and over."""
    random, delta, n_samples = np.random.default_rng(0), 0.1, 1500
    true_harm = np.linspace(0.001, 0.06, 40)
    max_harm, wrong = np.array([0.02]), 0
    for _ in range(400):
        n_harmed = random.binomial(n_samples, true_harm)
        n_certified = harm_certified_up_to(n_harmed, n_samples, max_harm, delta)[0]
        wrong += n_certified > 0 and true_harm[n_certified - 1] > max_harm[0]
    assert wrong <= binom.ppf(0.999, 400, delta)


def test_the_loss_of_a_group_is_its_share_of_harmed_samples():
    harm, groups = np.array([1, 0, 0, 1, 0], bool), np.array(["b", "a", "a", "b", "b"])
    assert losses(harm, groups).tolist() == pytest.approx([0, 2 / 3])
    assert losses(harm).tolist() == [1, 0, 0, 1, 0]


@settings(deadline=None, max_examples=30)
@given(st.integers(30, 400), st.floats(0.01, 0.2), st.floats(0.01, 0.3))
def test_as_many_groups_are_needed_as_samples(n, max_harm, delta):
    bound, none = np.array([max_harm]), np.array([0.0])
    enough = n >= samples_needed("harm", max_harm, delta)
    assert harm_certified_up_to(none, n, bound, delta, binary=False)[0] == enough


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_certificates_of_groups_are_wrong_no_more_often_than_they_say(share):
    """Groups of unlike sizes, some of them harmed, in which all or a part of the samples are."""
    random, draws, n_groups, delta = np.random.default_rng(0), 120, 150, 0.05
    true_harm, max_harm = np.linspace(0.02, 0.2, 15), np.array([0.1])
    wrong, certified = np.zeros(2, int), 0
    for _ in range(draws):
        groups = np.repeat(np.arange(n_groups), random.integers(10, 60, n_groups))
        hit = random.random(n_groups) < true_harm[:, None] / share
        harm = hit[:, groups] & (random.random(len(groups)) < share)
        by_group = np.array([losses(one, groups).sum() for one in harm])
        n = [
            harm_certified_up_to(by_group, n_groups, max_harm, delta, binary=False)[0],
            harm_certified_up_to(harm.sum(axis=1), len(groups), max_harm, delta)[0],
        ]
        certified += n[0]
        wrong += [k > 0 and true_harm[k - 1] > max_harm[0] for k in n]
    by_groups, as_if_independent = wrong
    assert certified > draws
    assert by_groups <= binom.ppf(0.999, draws, delta)
    assert as_if_independent > binom.ppf(0.999, draws, delta)


@pytest.mark.parametrize("of", MEASURES)
def test_a_study_of_harmless_settings_finds_no_violation(of):
    same = np.zeros((3, 900), np.int8)
    rates = resplit_violations(of, same, 400, np.array([0.05]), 0.05, 100, seed=0)
    assert rates.tolist() == [0]


@pytest.mark.parametrize("of", MEASURES)
def test_a_study_sees_certificates_that_hold_by_luck_only(of):
    """Harm just above the bound: half of the splits show less, and a delta of 0.49 accepts them."""
    harmed = -(np.arange(1000)[None] < 51).astype(np.int8)
    lax, strict = (
        resplit_violations(of, harmed, 500, np.array([0.05]), delta, 300, seed=0)[0]
        for delta in (0.49, 0.001)
    )
    assert lax > 0.2
    assert strict < 0.01


def test_what_is_gained_makes_up_for_harm_in_the_loss_alone():
    """3 % harmed and 3 % gained: nothing is lost, though as much is harmed."""
    changes = np.zeros((1, 2000), np.int8)
    changes[0, :60], changes[0, 60:120] = -1, 1
    counts = np.array([60]), np.array([60]), 2000, np.array([0.02]), 0.05
    assert certified_up_to("loss", *counts).tolist() == [1]
    assert certified_up_to("harm", *counts).tolist() == [0]
    rates = resplit_violations("loss", changes, 2000, np.array([0.02]), 0.05, 50, seed=0)
    assert rates.tolist() == [0]


@settings(deadline=None, max_examples=30)
@given(outcomes())
def test_settings_go_from_the_last_model_alone_to_the_most_harmful(outcomes):
    points = safe_to_cheap(frontier(outcomes.unharmed(), 1000), outcomes.unharmed())
    assert points[0].strategy == always("heavy")
    harm = [harmed(point.strategy, outcomes).mean() for point in points]
    assert harm[0] == 0
    assert (np.diff(harm) >= 0).all()
    assert harm == pytest.approx([1 - point.accuracy for point in points])


def study(n_samples, seed):
    """Splits of a pool whose light models err where they aren't confident, with routers."""
    random = np.random.default_rng(seed)
    splits = {}
    for split in ("tuning", "certification", "test"):
        difficulty = random.random((n_samples, 1))
        correct = difficulty < np.array([0.7, 0.85, 0.98])
        confidence = np.clip(1.1 - difficulty + 0.05 * random.standard_normal(correct.shape), 0, 1)
        scores = np.clip(correct + 0.2 * random.standard_normal(correct.shape), 0, 1)
        routers = {
            "router": RouterOutcome(np.zeros(n_samples, int), 0.1),
            "price_router": RouterOutcome(scores, 0.2),
            "probe_router": RouterOutcome(scores, 0.3),
        }
        known = make_outcomes(confidence.round(4), correct)
        splits[split] = Outcomes(**(vars(known) | {"routers": routers}))
    return splits


class TestCertify:
    def certificates(self, n_samples, of="harm", max_points=2.0):
        splits = study(n_samples, seed=0)
        tuning, limits = splits["tuning"], dict.fromkeys(MEASURES, max_points)
        certificates = certify(
            splits, frontier(tuning.unharmed(), 1000), "mid", limits, 0.05, 50, 0
        )
        assert [c.of for c in certificates] == ["loss"] * 5 + ["harm"] * 5
        return splits, {c.kind: c for c in certificates if c.of == of}

    @pytest.mark.parametrize("of", MEASURES)
    def test_the_certified_setting_of_each_kind_is_within_the_bound(self, of):
        splits, certificates = self.certificates(1000, of)
        assert list(certificates) == ["cascade", *KINDS]
        for kind, certificate in certificates.items():
            if kind == "router":
                continue
            strategy, row = certificate.result.strategy, certificate.to_row()
            assert strategy.kind == kind
            assert 0 < row["settings_certified"] <= certificate.n_settings
            assert row[f"{of}_on_certification"] < 0.02
            for split in ("certification", "test"):
                outcomes = splits[split]
                expected = harmed(strategy, outcomes).mean()
                if of == "loss":
                    accuracy = evaluate(strategy, outcomes).accuracy
                    expected = outcomes.reference_accuracy - accuracy
                assert row[f"{of}_on_{split}"] == pytest.approx(expected)
        assert certificates["cascade"].result.energy_j < ENERGY_J[-1]

    @pytest.mark.parametrize(("of", "needed"), [("loss", "178"), ("harm", "at least 149")])
    def test_a_kind_whose_settings_all_harm_says_why_nothing_is_certified(self, of, needed):
        _, certificates = self.certificates(1000, of)
        router = certificates["router"]
        assert isinstance(router.result, NotCertified)
        assert router.result.n_harmed > 200
        assert router.to_row().keys() == {"settings_certified", "violation_rate"}
        assert f"takes {needed} samples" in router.result.describe()
        # What it says can be had can be had.
        found = router.result
        counts = np.array([found.n_harmed]), np.array([found.n_gained]), found.n_samples
        bound = np.array([found.attainable / 100])
        assert certified_up_to(of, *counts, bound, found.delta)[0] == 1

    @pytest.mark.parametrize("of", MEASURES)
    def test_too_few_samples_certify_nothing(self, of):
        _, certificates = self.certificates(samples_needed("harm", 0.02, 0.05) - 1, of)
        assert {type(c.result) for c in certificates.values()} == {NotCertified}
        assert certificates["cascade"].result.n_harmed == 0

    def test_violations_are_counted_at_every_bound(self):
        _, certificates = self.certificates(300, max_points=2.5)
        rows = certificates["cascade"].violation_rows()
        assert [row["max_points"] for row in rows] == sorted([*BOUNDS, 2.5])
        assert {(row["of"], row["strategy"]) for row in rows} == {("harm", "cascade")}


def test_a_reason_survives_its_file_and_reads_as_a_sentence():
    reason = NotCertified("harm", max_points=0.5, delta=0.05, n_samples=4200, n_harmed=325)
    assert NotCertified.from_json(reason.to_json()) == reason
    assert reason.describe() == (
        "harm of at most 0.5 points with probability 0.95 takes at least 598 samples of which "
        "none is harmed; the certification split has 4,200, of which the safest setting harms "
        "325, which certifies 8.46 points"
    )
