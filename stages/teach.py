"""Let the last model of the pool teach: soft targets for those that learn from its answers."""

import time

import numpy as np

from eco import files, params
from eco.errors import reported
from eco.inference import Session


def main() -> None:
    """Write the labels of train, softened by what the last model answers.

    Knowledge distillation (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural
    Network"): who learns from the teacher's doubts is wrong less often where the teacher is right,
    which is all that a cascade in front of it may lose.
    """
    settings = params.load()
    name, teacher, weight = settings.data.name, settings.pool[-1], settings.distillation.weight
    X, y = files.load_images("train", name)
    begin, cpu = time.monotonic(), time.process_time()
    session = Session(files.trained_path(teacher), settings.energy.threads)
    answers = session.in_batches(X)
    if settings.distillation.mirror:
        answers = (answers + session.in_batches(X[:, :, ::-1])) / 2
    taken = {"seconds": time.monotonic() - begin, "cpu_seconds": time.process_time() - cpu}
    labels = np.eye(answers.shape[1], dtype=np.float32)[y]
    files.save_targets("soft", name, (1 - weight) * labels + np.float32(weight) * answers)
    right = float((answers.argmax(axis=1) == y).mean())
    files.save_metrics("teaching", {"teaching": taken | {"train_accuracy": right}})
    print(
        f"{teacher} answered the images of train in {taken['seconds']:.0f} s, {right:.2%} rightly"
    )


if __name__ == "__main__":
    with reported():
        main()
