"""Turn one model of the pool into the numbers that it will compute with."""

import sys

import onnx

from eco import files, params, quantization
from eco.confidence import correct
from eco.errors import ModelError, reported
from eco.inference import Session
from eco.scoring import accuracy_gain

#: Images of training whose activations set the ranges.
SAMPLES = 1000


def main(model: str = "") -> None:
    """Write the model, in 8-bit integers if params say so, and what that does to its answers."""
    settings = params.load()
    settings.model(model)
    name, threads = settings.data.name, settings.energy.threads
    trained = Session(files.trained_path(model), threads)  # which names what is wrong with it
    graph = onnx.load(files.trained_path(model))
    if model in settings.quantized:
        X, _ = files.load_images("train", name)
        try:
            graph = quantization.quantized(graph, X[:SAMPLES])
        except ModelError as error:
            raise ModelError(
                f"quantized in params.yaml: {error}. Leave {model} out of quantized."
            ) from None
    with files.replacing(files.quantized_path(model)) as stream:
        stream.write(graph.SerializeToString())
    X_test, y_test = files.load_images("test", name)
    sessions = trained, Session(files.quantized_path(model), threads)
    before, after = (session.in_batches(X_test)[:, None] for session in sessions)
    was_right, is_right = (correct(p, y_test)[:, 0] for p in (before, after))
    agreement = (before.argmax(axis=-1) == after.argmax(axis=-1)).mean()
    metrics = {
        "float_accuracy": float(was_right.mean()),
        "accuracy": float(is_right.mean()),
        "agreement": float(agreement),
        "file_bytes": files.quantized_path(model).stat().st_size,
    } | accuracy_gain(is_right, was_right)
    files.save_metrics(f"quantization/{model}", {"quantization": {model: metrics}})
    kind = "8-bit integers" if model in settings.quantized else "floats, as trained"
    print(
        f"{model} in {kind}: {is_right.mean():.2%} of test images right, "
        f"{metrics['gain_points']:+.2f} points; {agreement:.2%} of the answers are the same"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
