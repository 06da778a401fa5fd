from pathlib import Path

import numpy as np
import pytest

from eco.data.splits import load_splits
from eco.runtime.session import Session

LEARNING = {
    "epochs": 4, "batch_size": 32, "learning_rate": 0.01, "weight_decay": 0.01,
    "label_smoothing": 0.05, "max_shift": 1, "mirror": False, "precision": "bfloat16",
}  # fmt: skip
SETTINGS = {
    "decision_tree": {"max_leaf_nodes": 40},
    "logistic_regression": {"C": 1.0, "max_iter": 50, "pixels": "square_root"},
    "random_forest": {
        "n_estimators": 25, "min_samples_leaf": 2, "max_features": 0.1, "bootstrap": True,
        "pixels": "whole",
    },
    "gradient_boosting": {
        "max_iter": 4, "learning_rate": 0.5, "max_leaf_nodes": 8, "min_samples_leaf": 5,
    },
    "mlp": {"units": [32, 16], "dropout": 0.1, **LEARNING},
    "cnn": {
        "stem_filters": 8, "filters": [8, 16], "strides": [1, 2], **LEARNING,
    },
    "text_cnn": {"embedding": 8, "widths": [1, 2], "filters": 8, "dropout": 0.1, **LEARNING},
    "onnx": {
        "path": "own.onnx", "sha256": "", "gives": "logits", "output": "", "scale": 1 / 255,
        "mean": [], "std": [], "layout": "first",
    },
}  # fmt: skip
#: The kinds that train on images, of which networks take seconds.
KINDS = [
    pytest.param(kind, marks=[pytest.mark.slow] if "epochs" in settings else [])
    for kind, settings in SETTINGS.items()
    if kind not in ("text_cnn", "onnx")
]
SHARES = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}


@pytest.fixture(scope="session")
def digits():
    return load_splits("digits", "", SHARES, 42)[0]


@pytest.fixture
def run(tmp_path: Path):
    """A function that runs a graph on samples, as the workflow does."""

    def run(graph, X):
        path = tmp_path / "model.onnx"
        path.write_bytes(graph.SerializeToString())
        return Session(path, threads=1).in_batches(X, batch_size=100)

    return run


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
