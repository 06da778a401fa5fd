import pytest

from eco.errors import EcoError
from tools.pipeline import planned

STAGES = """
stages:
  last: {cmd: touch c, deps: [b], outs: [c]}
  first: {cmd: touch b, outs: [b]}
  other: {cmd: touch d, outs: [d]}
"""


def test_stages_come_in_the_order_in_which_they_run(tmp_path, monkeypatch, run_in):
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path)("git", "init", "-q")
    run_in(tmp_path)("dvc", "init", "-q")
    (tmp_path / "dvc.yaml").write_text(STAGES)
    assert [stage.addressing for stage in planned(["last"])] == ["first", "last"]
    assert {stage.addressing for stage in planned()} == {"first", "last", "other"}
    (tmp_path / "dvc.yaml").write_text("stages: 3")
    with pytest.raises(EcoError, match="make back"):
        planned()


def test_outside_a_repository_of_dvc_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EcoError, match="DVC can't read the pipeline"):
        planned()
