"""The tables of the page and of the documentation."""

from eco.report import tables
from eco.strategies.strategy import Strategy, always
from tests.report.studies import metered_row, small_study, strategy_row


def test_strategies_stand_beside_what_they_took_as_they_ran():
    rows = [strategy_row(), strategy_row("other", strategy=Strategy("agreement", ("m0", "m1")))]
    study = small_study(metered=[metered_row(batch_size=1), metered_row(batch_size=256)])
    table = tables.compared(study, tables.labelled(rows, {"other": "voting"}))
    assert table["strategy"].tolist() == ["balanced", "voting"]
    assert table["points lost"].tolist() == ["1.00 [1.00, 1.00]"] * 2
    assert table["realised"].tolist() == ["0.4000 [0.3500, 0.4500]", ""]
    assert table["setting"].tolist() == ["m0 0.9, m1 0", "m0, m1"]


def test_models_lose_what_the_last_one_has_more():
    study = small_study(metered=[metered_row("always m1", always("m1"))])
    table = tables.compared(study, tables.labelled(study.models))
    assert table["strategy"].tolist() == ["always m0", "always m1"]
    assert table["points lost"].tolist() == ["0.00", "0.00"]
    assert table["realised"].tolist() == ["", "0.4000 [0.3500, 0.4500]"]


def test_what_was_metered_stands_beside_strategies_without_a_model_of_its_energy():
    row = {"name": "another path", "batch_size": 256, "energy_j": 2e-3, "samples_per_j": 500.0}
    table = tables.compared(small_study(), [("another path", row | {"energy_share": 8.0})])
    shown = table[["accuracy", "points lost", "µJ", "samples per J", "realised", "energy"]]
    assert shown.iloc[0].tolist() == ["", "", "2,000", "500", "8.0000", ""]


def test_an_unknown_end_of_an_interval_is_called_so():
    row = {"energy_share": 0.25, "energy_share_low": None, "energy_share_high": 0.5}
    assert tables.with_interval(row, "energy_share", ".2f") == "0.25 [unknown, 0.50]"
    assert tables.with_interval({}, "energy_share", ".2f") == ""


def test_provenance_puts_what_only_one_has_beside_nothing():
    table = tables.provenance({"machine": "one", "threads": 1}, {"machine": "two"})
    assert table.to_numpy().tolist() == [["machine", "one", "two"], ["threads", "1", ""]]
