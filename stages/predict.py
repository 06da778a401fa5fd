"""Run one model of the pool over every sample that it was not trained on."""

import sys

from eco.errors import reported
from eco.runtime.session import Session
from eco.workflow import params
from eco.workflow.artifacts import LABELS, MODEL, PREDICTED, PREDICTIONS, SPLITS


def main(model: str = "") -> None:
    """Write the model's probabilities on every split but train."""
    settings = params.load()
    settings.model(model)
    dataset, probabilities = settings.data.name, {}
    n_classes = len(LABELS.load(dataset=dataset).class_names)
    session = Session(MODEL.path(model=model), settings.energy.threads)
    for split in PREDICTED:
        X, y = SPLITS.load(split=split, dataset=dataset)
        probabilities[split] = session.probabilities(X, n_classes)
        accuracy = (probabilities[split].argmax(axis=1) == y).mean()
        print(f"{model}: {accuracy:.2%} correct on {len(y)} {split} samples")
    PREDICTIONS.save(probabilities, model=model, dataset=dataset)


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
