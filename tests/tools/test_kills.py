"""Runs that are killed again and again."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.small_workflow import SHAPE, build
from tools import kills


@pytest.mark.slow
def test_answers_of_runs_that_are_killed_are_neither_lost_nor_doubled(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    build(tmp_path)
    Path("in").mkdir()
    for name in range(6):
        images = np.random.default_rng(name).integers(0, 256, (4000, *SHAPE))
        np.save(f"in/{name}.npy", images.astype(np.uint8))
    arguments = ["in", "--kills", "4", "--workers", "2", "--batch-size", "20"]
    monkeypatch.setattr(sys, "argv", ["kills", *arguments])
    with pytest.raises(SystemExit) as ended:
        kills.main()
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    count = {what: int(number) for number, what in (line.split(maxsplit=1) for line in lines)}
    assert count["kills"] == 4
    assert count["runs that were completed"] >= 1
    assert count["files lost"] == count["files doubled"] == count["files half or wrong"] == 0
