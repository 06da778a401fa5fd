import numpy as np

from eco.report.make import samples_of_test
from eco.workflow.artifacts import SAMPLE, SPLITS


def test_samples_are_those_of_test_or_else_of_the_sample_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert samples_of_test("toys") is None
    X, y = np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.zeros(3, np.uint8)
    SAMPLE.save((X[:2], y[:2]), dataset="toys")
    assert (samples_of_test("toys") == X[:2]).all()
    SPLITS.save((X, y), split="test", dataset="toys")
    assert (samples_of_test("toys") == X).all()
