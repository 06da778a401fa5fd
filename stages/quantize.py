"""Turn one model of the pool into the numbers that it will compute with."""

import sys

from eco.errors import ModelError, reported
from eco.evaluation.scoring import accuracy_gain
from eco.models.onnx.quantize import quantize
from eco.runtime.session import Session
from eco.strategies.confidence import correct
from eco.workflow import params
from eco.workflow.artifacts import (
    LABELS,
    QUANTIZATION_METRICS,
    QUANTIZED_MODEL,
    SPLITS,
    TRAINED_MODEL,
)

#: Training samples whose activations set the ranges.
SAMPLES = 1000


def main(model: str = "") -> None:
    """Write the model, in 8-bit integers if params say so, and what that does to its labels."""
    settings = params.load()
    settings.model(model)
    dataset, threads = settings.data.name, settings.energy.threads
    n_classes = len(LABELS.load(dataset=dataset).class_names)
    X, y = SPLITS.load(split="test", dataset=dataset)
    trained = Session(TRAINED_MODEL.path(model=model), threads)
    before = trained.probabilities(X, n_classes)
    graph = TRAINED_MODEL.load(model=model)
    if model in settings.quantized:
        X_train, _ = SPLITS.load(split="train", dataset=dataset)
        try:
            graph = quantize(graph, X_train[:SAMPLES])
        except ModelError as error:
            remedy = f"Leave {model} out of quantized in params.yaml."
            raise ModelError(error.problem, remedy, model=model) from None
    QUANTIZED_MODEL.save(graph, model=model)
    path = QUANTIZED_MODEL.path(model=model)
    after = Session(path, threads).probabilities(X, n_classes)
    float_correct, is_correct = (correct(p[:, None], y)[:, 0] for p in (before, after))
    metrics = {
        "float_accuracy": float(float_correct.mean()),
        "accuracy": float(is_correct.mean()),
        "agreement": float((before.argmax(axis=1) == after.argmax(axis=1)).mean()),
        "file_bytes": path.stat().st_size,
    } | accuracy_gain(is_correct, float_correct)
    QUANTIZATION_METRICS.save({"quantization": {model: metrics}}, model=model)
    numbers = "8-bit integers" if model in settings.quantized else "floats, as trained"
    print(
        f"{model} in {numbers}: {metrics['accuracy']:.2%} correct on test, "
        f"{metrics['gain_points']:+.2f} points; {metrics['agreement']:.2%} of the labels are the "
        "same"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
