"""Data of one's own that say which images belong together, when they came, or how they are split.

Each image holds its own number, by which it is found again in the splits.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.data.splits import load_splits
from eco.errors import DataError

HELD_OUT = ("calibration", "tuning", "certification")
SHARES = dict(zip(HELD_OUT, (0.1, 0.2, 0.1), strict=True))
SPLITS = ("train", *HELD_OUT, "test")


def images(n, first=0):
    numbers = first + np.arange(n)
    return np.stack([numbers % 256, numbers // 256], axis=1).astype(np.uint8)[:, None]


def numbers(split):
    return split.X[:, 0, 0] + 256 * split.X[:, 0, 1].astype(int)


def load(folder, shares=SHARES, seed=0, **arrays):
    np.savez(folder / "own.npz", **arrays)
    return load_splits("own", str(folder / "own.npz"), shares, seed)[0]


def refused(folder, **arrays):
    with pytest.raises(DataError) as caught:
        load(folder, **arrays)
    assert "own" in str(caught.value)
    return str(caught.value)


def sizes(splits):
    return {split: len(y) for split, (_, y) in splits.items()}


def own(n=12, n_classes=2, parts=SPLITS):
    """Arrays of each part; images of no two parts are the same."""
    arrays = {}
    for place, part in enumerate(parts):
        arrays[f"X_{part}"], arrays[f"y_{part}"] = images(n, n * place), np.arange(n) % n_classes
    return arrays


class TestGroups:
    """40 people with five images each, of one class."""

    people = np.repeat([f"person {i}" for i in range(40)], 5)
    y = np.arange(200) // 5 % 2

    def test_a_group_is_in_one_split_and_shares_count_groups(self, tmp_path):
        splits = load(tmp_path, X=images(200), y=self.y, groups=self.people)
        assert tuple(splits) == SPLITS
        # A quarter of 40 people is 10; of the other 30 a tenth is 3, a fifth 6.
        # Of each of the 3 who certify there is one image.
        assert sizes(splits) == dict(zip(SPLITS, (90, 15, 30, 3, 50), strict=True))
        kept = [set(self.people[numbers(split)]) for split in splits.values()]
        assert len(set.union(*kept)) == sum(map(len, kept)) == 40
        for split in splits.values():
            assert (split.y == self.y[numbers(split)]).all()
            assert set(split.y) == {0, 1}

    def test_they_may_be_called_group(self, tmp_path):
        arrays = {"X": images(200), "y": self.y}
        one = load(tmp_path, **arrays, groups=self.people)
        other = load(tmp_path, **arrays, group=self.people)
        assert all((numbers(one[split]) == numbers(other[split])).all() for split in SPLITS)
        names = {"group": self.people, "groups": self.people}
        assert "must hold group or groups, not both" in refused(tmp_path, **arrays, **names)
        arrays = own(40, parts=("train", "test")) | {"group_train": np.arange(40) // 2}
        assert len(load(tmp_path, **arrays)["certification"].y) == 2

    def test_the_seed_draws_the_groups(self, tmp_path):
        arrays = {"X": images(200), "y": self.y, "groups": self.people}
        one, again, other = (load(tmp_path, **arrays, seed=seed) for seed in (1, 1, 2))
        assert numbers(one["test"]).tolist() == numbers(again["test"]).tolist()
        assert set(numbers(one["test"])) != set(numbers(other["test"]))

    def test_a_group_may_hold_every_class(self, tmp_path):
        y = np.arange(200) % 5
        splits = load(tmp_path, X=images(200), y=y, groups=np.repeat(np.arange(40), 5))
        assert len(splits.pop("certification").y) == 3
        assert all(set(split.y) == set(range(5)) for split in splits.values())

    def test_those_of_train_are_divided_where_test_is_ones_own(self, tmp_path):
        arrays = {"X_train": images(200), "y_train": self.y, "groups_train": self.people}
        test = {"X_test": images(20, 200), "y_test": np.arange(20) % 2}
        splits = load(tmp_path, **arrays, **test)
        assert numbers(splits["test"]).tolist() == list(range(200, 220))
        assert sizes(splits)["tuning"] == 40
        kept = [set(self.people[numbers(splits[split])]) for split in SPLITS[:-1]]
        assert len(set.union(*kept)) == sum(map(len, kept)) == 40

    @settings(max_examples=20, deadline=None)
    @given(n=st.lists(st.integers(2, 9), min_size=60, max_size=60), seed=st.integers(0, 99))
    def test_whatever_the_groups_each_is_in_one_split_as_a_whole_or_by_one_image_that_certifies(
        self, tmp_path_factory, n, seed
    ):
        groups = np.repeat(np.arange(60), n)
        arrays = {"X": images(len(groups)), "y": groups % 3, "groups": groups}
        splits = load(tmp_path_factory.mktemp("own"), seed=seed, **arrays)
        seen = []
        for name, split in splits.items():
            found, kept = np.unique(groups[numbers(split)], return_counts=True)
            expected = np.ones(len(found)) if name == "certification" else np.array(n)[found]
            assert kept.tolist() == expected.tolist()
            assert len(set(numbers(split))) == len(split.y)
            seen += found.tolist()
        assert sorted(seen) == list(range(60))

    def test_what_they_can_not_be(self, tmp_path):
        def problem(groups):
            return refused(tmp_path, X=images(200), y=self.y, groups=groups)

        assert "groups must hold a value for each of 200 samples; got shape (3,)" in problem(
            [1] * 3
        )
        assert "groups must name the group of every sample" in problem([np.nan] + [1.0] * 199)
        assert "groups must name the group of every sample" in problem(["", "a"] * 100)
        for groups, dtype in (([1j] * 200, "complex128"), ([b"\xff"] * 200, "|S1")):
            assert f"groups must hold numbers, text or dates; got {dtype}" in problem(groups)
        assert "class 0 is in 1 group(s), which can't be in 2 splits" in problem([0] * 200)
        assert "calibration 0, tuning 1, certification 0 of 3 groups (class 0 is in 2" in problem(
            np.minimum(np.arange(200) // 5, 3)
        )
        y = np.where(self.people == "person 0", 2, self.y)
        arrays = {"X_train": images(200), "y_train": y, "groups_train": self.people}
        test = {"X_test": images(20, 200), "y_test": np.arange(20) % 2}
        found = refused(tmp_path, **arrays, **test)
        assert "class 2 is in 1 group(s), which can't be in 4 splits" in found
        assert "give more groups of each class" in found


class TestTime:
    """An image a day; the file is in no order."""

    order = np.random.default_rng(0).permutation(200)
    y = order % 2

    def days(self, splits):
        return {name: sorted(self.order[numbers(split)]) for name, split in splits.items()}

    def test_the_latest_quarter_tests_and_the_others_follow_in_their_order(self, tmp_path):
        splits = load(tmp_path, X=images(200), y=self.y, time=self.order)
        expected = np.split(np.arange(200), [90, 105, 135, 150])
        assert self.days(splits) == {
            split: days.tolist() for split, days in zip(SPLITS, expected, strict=True)
        }

    @pytest.mark.parametrize(
        "kind",
        [
            lambda days: days / 7 - 3,
            lambda days: np.datetime64("2026-01-31") + days,
            lambda days: (np.datetime64("2026-01-31T12:00") + 24 * 60 * days).astype(str),
            lambda days: days.astype(np.uint64) + 2**63,
        ],
    )
    def test_whatever_times_are_they_are_in_order(self, tmp_path, kind):
        splits = load(tmp_path, X=images(200), y=self.y, time=kind(self.order))
        assert self.days(splits)["test"] == list(range(150, 200))

    def test_ones_own_test_stays_and_train_is_divided(self, tmp_path):
        arrays = {"X_train": images(200), "y_train": self.y, "time_train": self.order}
        test = {"X_test": images(20, 200), "y_test": np.arange(20) % 2}
        splits = load(tmp_path, **arrays, **test)
        assert numbers(splits.pop("test")).tolist() == list(range(200, 220))
        assert [days[-1] for days in self.days(splits).values()] == [119, 139, 179, 199]
        load(tmp_path, **arrays, **test, time_test=np.full(20, 199))
        found = refused(tmp_path, **arrays, **test, time_test=np.arange(20) + 198)
        assert "time_test begins before time_train ends" in found

    def test_images_of_one_time_stay_together(self, tmp_path):
        splits = load(tmp_path, X=images(200), y=self.y, time=self.order // 8)
        seen = [set(np.array(days) // 8) for days in self.days(splits).values()]
        assert len(set.union(*seen)) == sum(map(len, seen)) == 25

    @pytest.mark.parametrize(
        ("time", "message"),
        [
            (np.arange(3), "time must hold a value for each of 200 samples; got shape (3,)"),
            (
                [*range(199), np.nan],
                "time, row 199: must hold a number or a date such as 2026-01-31",
            ),
            (["2026-01-01"] * 199 + ["NaT"], "time, row 199: must hold a number or a date"),
            (["10 o'clock"] * 200, "row 0: must hold a number or a date such as 2026-01-31 in ev"),
            (["31.01.2026"] * 200, "in every row; got '31.01.2026'"),
            ([True, False] * 100, "time must hold numbers or dates; got bool"),
            (np.zeros(200), "a latest quarter must be there; too many have one time"),
        ],
    )
    def test_what_it_can_not_be(self, tmp_path, time, message):
        assert message in refused(tmp_path, X=images(200), y=self.y, time=time)

    def test_a_class_that_a_split_lacks_is_named(self, tmp_path):
        y = np.where((self.order >= 105) & (self.order < 135), 0, self.order % 2)
        found = refused(tmp_path, X=images(200), y=y, time=self.order)
        assert "(tuning has 0 samples of class 1, and takes 2)" in found
        assert "Raise the smallest share, or leave time out" in found


class TestOnesOwnSplits:
    def test_all_three_are_taken_as_they_are(self, tmp_path):
        splits = load(tmp_path, **own())
        assert sizes(splits) == dict.fromkeys(SPLITS, 12)
        for place, split in enumerate(SPLITS):
            assert numbers(splits[split]).tolist() == list(range(12 * place, 12 * place + 12))

    def test_one_set_is_divided_in_proportion_to_the_shares(self, tmp_path):
        arrays = own(80, parts=("train", "val", "test"))
        splits = load(tmp_path, **arrays)
        assert sizes(splits) == dict(zip(SPLITS, (80, 20, 40, 20, 80), strict=True))
        held_out = np.concatenate([numbers(splits[split]) for split in HELD_OUT])
        assert sorted(held_out) == list(range(80, 160))
        splits = load(tmp_path, **arrays, time_val=np.arange(80)[::-1])
        assert sorted(numbers(splits["calibration"])) == list(range(140, 160))
        splits = load(tmp_path, **arrays, groups_val=np.arange(80) // 4)
        assert len(set(numbers(splits["tuning"]) // 4)) == 10

    def test_groups_in_two_of_them_are_named(self, tmp_path):
        arrays = own()
        groups = {f"groups_{part}": [f"{part} {i // 2}" for i in range(12)] for part in SPLITS}
        load(tmp_path, **arrays, **groups)
        groups["groups_tuning"][7] = "train 3"
        found = refused(tmp_path, **arrays, **groups)
        assert "groups_train and groups_tuning both hold train 3" in found

    def test_times_must_follow_each_other(self, tmp_path):
        times = {f"time_{part}": 100 * place + np.arange(12) for place, part in enumerate(SPLITS)}
        load(tmp_path, **own(), **times)
        times["time_tuning"] = times["time_tuning"] - 150
        assert "time_tuning begins before time_calibration" in refused(tmp_path, **own(), **times)
        times["time_tuning"] = ["2026-01-31"] * 12
        assert "must be numbers alike, or dates, or text" in refused(tmp_path, **own(), **times)

    @pytest.mark.parametrize(
        ("lacking", "more", "message"),
        [
            (["X_tuning", "y_tuning"], {}, "together; it lacks X_tuning, y_tuning"),
            (["y_tuning"], {}, "together; it lacks y_tuning"),
            ([], {"X_val": images(4)}, "must hold X_val or splits of it, but not both"),
            ([], {"X": images(4)}, "or X and y, but not both"),
            (["X_test", "y_test"], {}, "must hold X_train, y_train, X_test, y_test, or X and y"),
            (
                [],
                {"y_tuning": np.arange(12) // 11},
                "(tuning has 1 samples of class 1, and takes 2)",
            ),
            (
                [],
                {"y_tuning": np.arange(12)},
                "and tuning labels among them; got [0, 1] and at mos",
            ),
            (
                [],
                {"X_tuning": np.zeros((12, 3, 3), np.uint8)},
                "train and tuning must be of one siz",
            ),
            ([], {"groups": np.arange(12)}, "groups must come with X; there is none"),
            ([], {"time_val": np.arange(12)}, "time_val must come with X_val; there is none"),
            ([], {"groups_train": np.arange(12), "time_train": np.arange(12)}, "not by both"),
        ],
    )
    def test_what_does_not_go_together(self, tmp_path, lacking, more, message):
        arrays = own() | more
        assert message in refused(tmp_path, **{k: v for k, v in arrays.items() if k not in lacking})

    @pytest.mark.parametrize(
        "name",
        [
            "timestamps", "times", "Time", "Groups", "grouping", "X_valid", "y_valid", "x_train",
            "time_valid", "split", "splits", "Train", "val_index", "classes", "Class_names",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("parts", [("train", "test"), SPLITS])
    def test_a_name_that_is_nearly_one_that_is_read_is_refused(self, tmp_path, name, parts):
        groups = {f"groups_{part}": [f"{part} {i}" for i in range(12)] for part in parts}
        found = refused(tmp_path, **own(parts=parts), **groups, **{name: np.arange(12)})
        assert f"{name} is not read" in found
        assert "X, y, groups, time are read" in found
        assert "train, val, calibration, tuning, certification, test; and class_names" in found

    def test_other_arrays_are_ignored(self, tmp_path):
        splits = load(tmp_path, **own(), ids=np.arange(3), pixels=7, source=["a", "b"])
        assert sizes(splits) == dict.fromkeys(SPLITS, 12)

    def test_what_is_divided_must_have_its_groups(self, tmp_path):
        arrays = own(parts=("train", "test")) | {"groups_test": np.arange(12)}
        assert "must hold groups_train, as it holds groups_test" in refused(tmp_path, **arrays)
        arrays = own(parts=("train", "val", "test")) | {"time_train": np.arange(12)}
        assert "must hold time_val, as it holds time_train" in refused(tmp_path, **arrays)
