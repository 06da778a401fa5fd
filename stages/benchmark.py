"""Measure what one prediction of each model costs in joules."""

from eco.energy.benchmark import benchmark
from eco.errors import reported
from eco.runtime.session import Session
from eco.workflow import params
from eco.workflow.artifacts import ENERGY, LABELS, MODEL, SPLITS


def main() -> None:
    """Write J per sample of each model at each batch size."""
    settings = params.load()
    dataset, threads = settings.data.name, settings.energy.threads
    X, _ = SPLITS.load(split="test", dataset=dataset)
    n_classes = len(LABELS.load(dataset=dataset).class_names)
    models = {model: (MODEL.path(model=model), X) for model in settings.pool}
    for path, _ in models.values():  # before minutes are spent on them
        Session(path, threads).probabilities(X, n_classes)
    measurements = benchmark(models, settings.energy)
    ENERGY.save(measurements)
    print(measurements.table())


if __name__ == "__main__":
    with reported():
        main()
