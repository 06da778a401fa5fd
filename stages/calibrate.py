"""Calibrate one model of the pool: make its probabilities mean what they say."""

import sys

from eco.errors import reported
from eco.evaluation.calibration import calibration_error, reliability
from eco.models.onnx.calibrate import calibrated
from eco.runtime.session import Session
from eco.strategies import confidence
from eco.workflow import artifacts, params


def main(model: str = "") -> None:
    """Write the calibrated model, its calibration error and its reliability on test."""
    settings = params.load()
    settings.model(model)
    dataset, threads = settings.data.name, settings.energy.threads
    n_classes = len(artifacts.LABELS.load(dataset=dataset).class_names)
    uncalibrated = Session(artifacts.QUANTIZED_MODEL.path(model=model), threads)
    X, y = artifacts.SPLITS.load(split="calibration", dataset=dataset)
    graph, method = artifacts.QUANTIZED_MODEL.load(model=model), settings.calibration.method
    probabilities = uncalibrated.probabilities(X, n_classes)
    graph, temperature = calibrated(graph, probabilities, y, method)
    artifacts.MODEL.save(graph, model=model)
    X, y = artifacts.SPLITS.load(split="test", dataset=dataset)
    metrics = {} if temperature is None else {"temperature": temperature}
    sessions = {
        "before": uncalibrated,
        "after": Session(artifacts.MODEL.path(model=model), threads),
    }
    rows = []
    for when, session in sessions.items():
        probabilities = session.probabilities(X, n_classes)[:, None]
        values = confidence.confidence(probabilities, "max_probability")[:, 0]
        correct = confidence.correct(probabilities, y)[:, 0]
        metrics[f"error_{when}"] = calibration_error(values, correct)
        rows += [{"model": model, "when": when} | row for row in reliability(values, correct)]
    artifacts.CALIBRATION_ROWS.save(rows, model=model)
    artifacts.CALIBRATION_METRICS.save({"calibration": {model: metrics}}, model=model)
    print(
        f"{model}: calibration error on test {metrics['error_before']:.3f} before, "
        f"{metrics['error_after']:.3f} after ({method})"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
