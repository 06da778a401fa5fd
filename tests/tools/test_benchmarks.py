"""The parts of `make bench` that need nothing but the committed files."""

from eco.workflow import params
from tests.conftest import REPOSITORY
from tools import benchmarks


def test_tuning_and_certification_are_timed_on_the_committed_pool(monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    benchmarks.tuning_and_certification()
    five, tuned, certified, _ = capsys.readouterr().out.splitlines()
    assert "tuning 5 models over all sub-chains" in five
    assert f"tuning {len(params.load().pool)} models over all sub-chains" in tuned
    assert certified.startswith("certifying 400 settings on 100 new splits")


def test_the_engine_is_timed_at_each_batch_size(capsys):
    benchmarks.engine()
    assert len(capsys.readouterr().out.splitlines()) == 3
