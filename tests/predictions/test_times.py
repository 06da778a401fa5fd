"""Times as ranks, whatever they are given as, and the parts of samples in their order."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.predictions.times import by_time, ranks


@pytest.mark.parametrize(
    "values",
    [
        [9, 10, 9, 2000],
        [-0.5, 10.0, -0.5, 1e300],
        np.array([2**63 - 3, 2**63 - 2, 2**63 - 3, 2**63 - 1]),
        ["2026-01-09", "2026-01-10", "2026-01-09", "2026-11-01"],
        ["2026-01-31 09:00", "2026-01-31 10:00", "2026-01-31 09:00", "2026-02-01"],
        ["2026-01-31T10:00+02:00", "2026-01-31T09:00", "2026-01-31T08:00Z", "2027"],
        [datetime.date(2026, 1, 1 + day) for day in (8, 9, 8, 30)],
        [datetime.datetime(2026, 1, 1 + day, tzinfo=datetime.UTC) for day in (8, 9, 8, 30)],
        pd.Series(pd.to_datetime(["2026-01-09", "2026-01-10", "2026-01-09", "2026-11-01"])),
        pd.Series(
            pd.to_datetime(["2026-01-09", "2026-01-10", "2026-01-09", "2027-01-01"], utc=True)
        ),
        pd.Series([9, 10, 9, 2000], dtype="Int64"),
        np.array([9, 10, 9, 2000], "m8[s]"),
    ],
)
def test_times_in_order(values):
    assert ranks(values, ValueError).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("values", "row", "found"),
    [
        ([1.0, np.nan], 1, "nothing"),
        ([1, None], 1, "nothing"),
        ([np.inf, 1.0], 0, "inf"),
        (np.array([1, "2026-01-01"], object), 1, "'2026-01-01'"),
        ([pd.Timestamp("2026-01-01"), pd.NaT], 1, "nothing"),
        (["2026-01-01", None], 1, "nothing"),
        (["2026-01-01", ""], 1, "''"),
        (["9", "10"], 0, "'9'"),
        (["2026-01-01", "now"], 1, "'now'"),
        (["2026-01-01", "2026-13-01"], 1, "'2026-13-01'"),
        (["01/02/2026", "2026-13-01"], 0, "'01/02/2026'"),
        (np.array(["2026-01-01", "NaT"], "M8[s]"), 1, "nothing"),
        ([[1], [2]], None, "(2, 1)"),
        ([True, False], None, "bool"),
        ([1j, 2], None, "complex128"),
    ],
)
def test_what_is_no_time_is_found(values, row, found):
    seen = []

    def error(problem, row):
        seen.append(row)
        return ValueError(problem)

    with pytest.raises(ValueError, match="must hold") as caught:
        ranks(values, error)
    assert seen == [row]
    assert str(caught.value).endswith(f"got {found}")


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
    st.lists(st.floats(0.1, 1), min_size=1, max_size=5),
)
def test_parts_follow_each_other_and_share_no_time(times, shares):
    times = np.array(times)
    parts = by_time(times, shares)
    assert set(parts) <= set(range(len(shares)))
    for part in range(1, len(shares)):
        earlier, later = times[parts < part], times[parts >= part]
        assert not (earlier.size and later.size) or earlier.max() < later.min()


@given(st.permutations(range(40)), st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_where_times_differ_parts_are_as_large_as_their_shares(times, shares):
    sizes = np.bincount(by_time(np.array(times), shares), minlength=len(shares))
    assert np.abs(sizes - 40 * np.array(shares) / sum(shares)).max() <= 1
