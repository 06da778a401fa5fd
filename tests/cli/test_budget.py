import re
from pathlib import Path

import pytest

from eco.workflow import artifacts
from tests.cli.conftest import eco, refused


def rows(text):
    """The rows of the table, as lists of cells."""
    table = text.split("\n\n")[1].splitlines()[2:]
    return [re.split(r"  +", line) for line in table]


def least_j(settings):
    return float(artifacts.ENERGY.load().energy_j(settings.pool[:1], settings.energy.batch_size)[0])


def write(name, *lines):
    Path(name).write_text("\n".join(lines) + "\n")


def hours(column, *values):
    return [f"time,{column}", *(f"2026-03-01T{i:02}:00Z,{v}" for i, v in enumerate(values))]


LAST = ("-s", "always extra")


def test_a_limit_is_kept_and_what_it_costs_is_said(settings):
    limit = 5000 * least_j(settings)
    text = eco("budget", *LAST, "--load", 1000, "--hours", 5, "--max-j-per-hour", limit).stdout
    table = rows(text)
    assert len(table) == 5 and all(row[1] == "1,000" for row in table)
    shares = [float(row[3].rstrip("%")) for row in table]
    assert max(shares) <= 100 and min(shares) > 96
    assert "within the limit  5 of 5 hours; always extra alone: 0 of 5 hours" in text
    lost = re.search(r"points lost +(\S+) \[(\S+), (\S+)\] below always extra", text)
    mean, low, high = map(float, lost.groups())
    assert low < mean < high and float(table[0][4]) == pytest.approx(mean, abs=1)
    assert "what HTTP takes is not in it" in text


def test_the_best_setting_answers_under_a_large_limit(settings):
    text = eco("budget", *LAST, "--load", 1000, "--hours", 1, "--max-j-per-hour", 100).stdout
    assert "points lost       0.00 [0.00, 0.00] below always extra" in text


def test_a_limit_that_no_setting_keeps_is_named(settings):
    limit = 100 * least_j(settings)
    text = eco("budget", *LAST, "--load", 1000, "--hours", 2, "--max-j-per-hour", limit).stdout
    assert "within the limit  0 of 2 hours" in text
    assert "the cheapest setting alone: 0 of 2 hours; none is refused" in text


def test_a_limit_is_kept_by_refusing(settings):
    limit, name = 100 * least_j(settings), f"always {settings.pool[2]}"
    given = ["budget", "-s", name, "--load", 1000, "--hours", 2, "--max-j-per-hour"]
    text = eco(*given, limit, "--over-budget", "refuse").stdout
    assert "within the limit  2 of 2 hours" in text and "of the images are refused" in text
    first, second = ([float(n.replace(",", "")) for n in (r[1], r[-1])] for r in rows(text))
    assert sum(first) == pytest.approx(1000, abs=1) and second[1] == pytest.approx(900, abs=20)
    text = eco(*given, 1000, "--over-budget", "refuse").stdout
    assert "refused" not in text and len(rows(text)[0]) == 5


def test_a_load_and_a_grid_may_change_by_the_hour(settings):
    write("load.csv", *hours("images", 0, 500, 1000))
    write("grid.csv", *hours("g_per_kwh", 10, 10, 400))
    limit = 3e-7 * least_j(settings) * 1000 * 100
    given = ["budget", *LAST, "--max-g-per-hour", limit, "--load"]
    table = rows(eco(*given, "load.csv", "--grid", "grid.csv").stdout)
    assert [row[:2] for row in table] == [
        ["2026-03-01 00:00", "0"], ["2026-03-01 01:00", "500"], ["2026-03-01 02:00", "1,000"],
    ]  # fmt: skip
    assert table[0][2:4] == ["0", "0.0%"] and float(table[1][4]) <= float(table[2][4])
    constant = eco(*given, 1000, "--grid", "grid.csv").stdout
    assert len(rows(constant)) == 3 and "2026-03-01" in constant
    assert len(rows(eco(*given, 1000, "--grid", "grid.csv", "--hours", 1).stdout)) == 1
    own = eco(*given, 1000, "--hours", 1).stdout
    study = artifacts.ENERGY.load().provenance["grid_g_co2e_per_kwh"]
    assert own == eco(*given, 1000, "--hours", 1, "--grid", study).stdout


TOO_FEW = "must hold two times at least"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["time,other", "2026-03-01T00:00Z,1"], "the columns time and g_per_kwh; got time, other"),
        ([], "the columns time and g_per_kwh; got nothing"),
        (["time,g_per_kwh"], TOO_FEW),
        (hours("g_per_kwh", 1), TOO_FEW),
        (hours("g_per_kwh", 1, "nan"), "line 3: g_per_kwh must be a number from 0 to 1e"),
        (hours("g_per_kwh", 1, "1e300"), "line 3: g_per_kwh must be a number from 0 to 1e+15"),
        (hours("g_per_kwh", 1, "5,6"), "line 3 must have as many cells as the first line"),
        (["time,g_per_kwh,g_per_kwh"], "must have the column g_per_kwh once"),
        (hours("g_per_kwh", 1, "inf"), "line 3: g_per_kwh must be a number"),
        (hours("g_per_kwh", 1, ""), "line 3: g_per_kwh must be a number from 0 to 1e+15; got ''"),
        (hours("g_per_kwh", -1, 1), "line 2: g_per_kwh must be a number from 0 to 1e+15; got '-1'"),
        ([*hours("g_per_kwh", 1, 1), "soon,1"], "line 4: time must be like 2026-"),
        ([*hours("g_per_kwh", 1, 1), "2026-03-01T03:00Z,1"], "line 4: times must rise by 3600 s"),
        ([*hours("g_per_kwh", 1, 1), "2026-03-01T01:00Z,1"], "line 4: times must rise by 3600 s"),
        ([*hours("g_per_kwh", 1), "2026-02-01T01:00Z,1"], "line 3: times must rise from line to"),
        ([*hours("g_per_kwh", 1), "2026-03-01T00:00Z,1"], "line 3: times must rise from line to"),
    ],
)  # fmt: skip
def test_a_grid_with_gaps_or_no_numbers_is_named(settings, lines, problem):
    write("grid.csv", *lines)
    given = ["budget", "--load", 10, "--max-g-per-hour", 1, "--grid", "grid.csv"]
    message = refused(*given)
    assert "grid.csv" in message and problem in message
    assert problem in refused("serve", "--max-g-per-hour", 1, "--grid", "grid.csv")


def test_what_is_no_load_or_grid_is_named(settings):
    write("load.csv", *hours("images", 5, 5, 5))
    write("zero.csv", *hours("images", 0, 0))
    write("grid.csv", *hours("g_per_kwh", 5, 5))
    write("half.csv", "time,images", "2026-03-01T00:00,1", "2026-03-01T00:30,1")
    Path("text.csv").write_bytes(b"\xff\xfe")
    for arguments, problem in [
        (["--load", "no.csv"], "no.csv can't be read as CSV: No such file"),
        (["--load", "text.csv"], "text.csv can't be read as CSV"),
        (["--load", "half.csv"], "half.csv must have a line an hour; got one every 1800 s"),
        (["--load", "-1"], "--load must be a number from 0 to 1e+15, or a CSV file; got -1"),
        (["--load", "nan"], "--load must be a number from 0 to 1e+15"),
        (["--load", "1e300"], "--load must be a number from 0 to 1e+15"),
        (["--load", 0], "--load must hold an image at least"),
        (["--load", "zero.csv"], "--load must hold an image at least"),
        (["--load", 1, "--grid", "inf"], "--grid must be a number from 0 to 1e+15"),
        (["--load", "load.csv", "--grid", "grid.csv"], "--grid has 2026-03-01T00:00Z to"),
        (["--load", 1, "--hours", 3, "--grid", "grid.csv"], "must have 2026-03-01T00:00Z to"),
    ]:
        assert problem in refused("budget", *arguments, "--max-g-per-hour", 1), arguments


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--load", 1], "Name --max-j-per-hour or --max-g-per-hour"),
        (["--load", 1, "--max-j-per-hour", 0], "Invalid value for '--max-j-per-hour'"),
        (["--load", 1, "--max-g-per-hour", -1], "Invalid value for '--max-g-per-hour'"),
        (["--load", 1, "--max-j-per-hour", 1, "--max-g-per-hour", 1], "Name one of"),
        (["--load", 1, "--max-j-per-hour", 1, "--grid", 50], "--grid goes with --max-g-per-hour"),
        (["--load", 1, "--over-budget", "refuse"], "--over-budget goes with --max-j-per-hour or"),
        (["--max-j-per-hour", 1], "Missing option '--load'"),
        (["--load", "load.csv", "--hours", 2, "--max-j-per-hour", 1], "with a constant --load"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings, arguments, problem):
    write("load.csv", *hours("images", 5, 5, 5))
    result = eco("budget", *arguments, ok=False)
    assert result.exit_code == 2 and problem in " ".join(result.stderr.split())


def test_without_a_frontier_the_command_that_makes_it_is_named(settings):
    given = ["budget", "--load", 1, "--max-j-per-hour", 1]
    cheapest = f"always {settings.pool[0]}"
    assert f"takes cheaper settings than {cheapest}" in refused(*given, "-s", cheapest)
    artifacts.FRONTIER.path().unlink()
    message = refused(*given)
    assert "data/frontier.json is missing" in message and "dvc repro" in message
