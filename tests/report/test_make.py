import numpy as np

from eco.report.make import example_images
from eco.workflow.artifacts import SAMPLE, SPLITS


def test_images_are_those_of_test_or_else_of_the_sample_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert example_images("toys") == {}
    X, y = np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.zeros(3, np.uint8)
    SAMPLE.save((X[:2], y[:2]), dataset="toys")
    assert example_images("toys").keys() == {0, 1}
    SPLITS.save((X, y), split="test", dataset="toys")
    images = example_images("toys")
    assert images.keys() == {0, 1, 2} and (images[2] == X[2]).all()
