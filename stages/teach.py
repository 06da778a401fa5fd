"""Make soft targets from the probabilities of the last model of the pool."""

import time

import numpy as np

from eco.data.kinds import kind_of
from eco.errors import reported
from eco.runtime.session import Session
from eco.workflow import params
from eco.workflow.artifacts import (
    LABELS,
    SPLITS,
    TARGETS,
    TEACHER,
    TEACHING_METRICS,
    TRAINED_MODEL,
)


def main() -> None:
    """Keep the last model, and write the labels of train, mixed with its probabilities.

    Knowledge distillation (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural
    Network").
    """
    settings = params.load()
    dataset, teacher, weight = settings.data.name, settings.pool[-1], settings.distillation.weight
    X, y = SPLITS.load(split="train", dataset=dataset)
    n_classes = len(LABELS.load(dataset=dataset).class_names)
    start, cpu_start = time.monotonic(), time.process_time()
    session = Session(TRAINED_MODEL.path(model=teacher), settings.energy.threads)
    probabilities = session.probabilities(X, n_classes)
    if settings.distillation.mirror and kind_of(X) == "images":
        probabilities = (probabilities + session.probabilities(X[:, :, ::-1], n_classes)) / 2
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
    one_hot = np.eye(probabilities.shape[1], dtype=np.float32)[y]
    soft = (1 - weight) * one_hot + np.float32(weight) * probabilities
    TARGETS.save(soft, kind="soft", dataset=dataset)
    TEACHER.save(TRAINED_MODEL.load(model=teacher))
    accuracy = float((probabilities.argmax(axis=1) == y).mean())
    metrics = {"seconds": seconds, "cpu_seconds": cpu_seconds, "train_accuracy": accuracy}
    TEACHING_METRICS.save({"teaching": metrics})
    print(f"{teacher}: {accuracy:.2%} correct on training samples, in {seconds:.0f} s")


if __name__ == "__main__":
    with reported():
        main()
