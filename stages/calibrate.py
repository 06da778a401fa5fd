"""Calibrate one model of the pool: make its probabilities mean what they say."""

import sys

import onnx

from eco import calibration, files, graphs, params
from eco.confidence import confidence, correct
from eco.errors import reported
from eco.inference import Session


def main(model: str = "") -> None:
    """Write the calibrated model, its calibration error and its reliability on test."""
    settings = params.load()
    settings.model(model)
    name, method, threads = settings.data.name, settings.calibration.method, settings.energy.threads
    uncalibrated = Session(files.quantized_path(model), threads)
    graph = onnx.load(files.quantized_path(model))
    X, y = files.load_images("calibration", name)
    given = uncalibrated.in_batches(X)
    metrics: dict[str, float] = {}
    if method == "temperature":
        sharper = calibration.inverse_temperature(given, y)
        metrics["temperature"] = 1 / sharper
        graph = graphs.with_temperature(graph, sharper)
    elif method == "isotonic":
        graph = graphs.with_interpolation(graph, calibration.isotonic_tables(given, y))
    with files.replacing(files.model_path(model)) as stream:
        stream.write(graph.SerializeToString())
    X_test, y_test = files.load_images("test", name)
    rows = []
    for when, session in (
        ("before", uncalibrated),
        ("after", Session(files.model_path(model), threads)),
    ):
        probabilities = session.in_batches(X_test)[:, None]
        sure = confidence(probabilities, "max_probability")[:, 0]
        right = correct(probabilities, y_test)[:, 0]
        metrics[f"error_{when}"] = calibration.calibration_error(sure, right)
        rows += [
            {"model": model, "when": when} | row for row in calibration.reliability(sure, right)
        ]
    files.save_rows(f"calibration/{model}", rows)
    files.save_metrics(f"calibration/{model}", {"calibration": {model: metrics}})
    print(
        f"{model}: calibration error on test {metrics['error_before']:.3f} before, "
        f"{metrics['error_after']:.3f} after ({method})"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
