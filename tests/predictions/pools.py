"""Predictions of three models, in every form that they may be brought in."""

import numpy as np
import pandas as pd

MODELS = ("small", "mid", "large")
COSTS = {"small": 1.0, "mid": 4.0, "large": 20.0}
CLASSES = ("cat", "dog", "emu")


def probabilities(n_samples=240, seed=0):
    """Names of the true classes, and (n_samples, n_models, n_classes): heavier is better."""
    random = np.random.default_rng(seed)
    y = random.integers(len(CLASSES), size=n_samples)
    logits = random.standard_normal((n_samples, len(MODELS), len(CLASSES)))
    logits[np.arange(n_samples), :, y] += np.array([1.0, 2.0, 4.0]) * random.random((n_samples, 1))
    p = np.exp(2 * logits)
    return np.array(CLASSES)[y], p / p.sum(axis=2, keepdims=True)


def confidence_and_correct(n_samples=240, seed=0):
    """Two frames with a column for each model."""
    y, p = probabilities(n_samples, seed)
    correct = np.array(CLASSES)[p.argmax(axis=2)] == y[:, None]
    return pd.DataFrame(p.max(axis=2), columns=MODELS), pd.DataFrame(correct, columns=MODELS)


def wide(kind="confidence", n_samples=240, **columns):
    """A row for each sample."""
    names = [f"q{i}" for i in range(n_samples)]
    frame = pd.DataFrame({"id": names} | columns)
    y, p = probabilities(n_samples)
    confidence, correct = confidence_and_correct(n_samples)
    for place, model in enumerate(MODELS):
        if kind == "confidence":
            frame[f"confidence:{model}"] = confidence[model]
            frame[f"correct:{model}"] = correct[model]
        else:
            frame["y"] = y
            for label, name in enumerate(CLASSES):
                frame[f"p:{model}:{name}"] = p[:, place, label]
        frame[f"cost:{model}"] = COSTS[model]
    return frame


def long(kind="confidence", n_samples=240, **columns):
    """A row for each sample and model, in no order."""
    frame = wide(kind, n_samples, **columns)
    parts = []
    for model in MODELS:
        keys = [key for key in frame if key.split(":")[1:2] == [model]]
        part = frame[[key for key in frame if ":" not in key]].assign(model=model)
        for key in keys:
            part[key.replace(f":{model}", "")] = frame[key]
        parts.append(part)
    return pd.concat(parts).sort_values(["id", "cost"], ignore_index=True)
