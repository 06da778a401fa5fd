"""Train one model of the pool."""

import sys
import time

from eco import files, params, pool
from eco.errors import reported


def main(model: str = "") -> None:
    """Write the model's ONNX graph, its training curve and what the training took."""
    settings = params.load()
    name = settings.data.name
    section = settings.model(model).model_dump()
    kind, targets = section.pop("kind"), section.pop("targets")
    X, y = files.load_images("train", name)
    soft = files.load_targets("soft", name, "teach") if targets == "soft" else None
    X_watched, y_watched = files.load_images("calibration", name)
    begin, cpu = time.monotonic(), time.process_time()
    trained = pool.train(kind, section, X, y, X_watched, y_watched, settings.seed, print, soft)
    seconds, cpu_s = time.monotonic() - begin, time.process_time() - cpu
    with files.replacing(files.trained_path(model)) as stream:
        stream.write(trained.graph.SerializeToString())
    files.save_rows(f"training/{model}", [{"model": model} | row for row in trained.curve])
    on_train, held_out = trained.curve[-2:]
    metrics = {
        "targets": targets,
        "train_accuracy": on_train["accuracy"],
        "held_out_accuracy": held_out["accuracy"],
        "seconds": seconds,
        "cpu_seconds": cpu_s,
        "file_bytes": files.trained_path(model).stat().st_size,
    }
    files.save_metrics(f"training/{model}", {"training": {model: metrics}})
    print(
        f"{model}: {held_out['accuracy']:.2%} on images held out, trained in {seconds:.0f} s "
        f"({cpu_s:.0f} CPU seconds)"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
