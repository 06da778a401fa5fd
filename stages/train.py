"""Train one model of the pool."""

import sys
import time

from eco.errors import reported
from eco.models import base
from eco.workflow import artifacts, params


def main(model: str = "") -> None:
    """Write the model's ONNX graph, its training curve and what the training took."""
    settings = params.load()
    dataset, section = settings.data.name, settings.model(model).model_dump()
    kind, targets = section.pop("kind"), section.pop("targets")
    X, y = artifacts.SPLITS.load(split="train", dataset=dataset)
    soft = artifacts.TARGETS.load(kind="soft", dataset=dataset) if targets == "soft" else None
    held_out = artifacts.SPLITS.load(split="calibration", dataset=dataset)
    start, cpu_start = time.monotonic(), time.process_time()
    graph, curve = base.train(kind, section, X, y, *held_out, settings.seed, soft)
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
    artifacts.TRAINED_MODEL.save(graph, model=model)
    artifacts.TRAINING_ROWS.save([{"model": model} | row for row in curve], model=model)
    train_accuracy, accuracy = (row["accuracy"] for row in curve[-2:])
    metrics = {
        "targets": targets,
        "train_accuracy": train_accuracy,
        "held_out_accuracy": accuracy,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "file_bytes": artifacts.TRAINED_MODEL.path(model=model).stat().st_size,
    }
    artifacts.TRAINING_METRICS.save({"training": {model: metrics}}, model=model)
    print(
        f"{model}: {accuracy:.2%} correct on held-out samples, trained in {seconds:.0f} s "
        f"({cpu_seconds:.0f} CPU seconds)"
    )


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
