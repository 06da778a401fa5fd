import json

from eco.strategies.strategy import Strategy
from tests.cli.conftest import command, eco
from tests.small_workflow import two_models


def test_show_lists_what_can_run_in_every_format(settings):
    rows = json.loads(eco("show", "--format", "json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["mine"]["realised_share"] == 0.123
    assert by_name["mine"]["setting"] == f"{settings.pool[0]} 0.8, {settings.pool[-1]} 0"
    assert Strategy.from_json(by_name["mine"]) == two_models(settings.pool)
    assert "accuracy" not in by_name["chosen"]  # its figures are those of another setting
    assert {f"always {m}" for m in settings.pool} <= by_name.keys()
    assert "agreement voting" not in by_name
    table, markdown = (eco("show", "-f", f).stdout for f in ("table", "markdown"))
    assert f"always {settings.pool[0]}" in table and "0.5000 [0.4000, 0.6000]" in table
    assert "not yet: dvc repro" in table
    assert markdown.count("\n| ") == len(rows) + 1
    for name in by_name:
        assert name in table
        eco("predict", "test", "--strategy", name)


def test_a_closed_pipe_is_met_quietly(settings):
    process = command("show", "--format", "json")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 1
    assert errors == ""
