"""Run one model of the pool over every image that it was not trained on."""

import sys

from eco import files, params
from eco.confidence import correct
from eco.errors import reported
from eco.inference import Session


def main(model: str = "") -> None:
    """Write the model's probabilities on every split but train."""
    settings = params.load()
    settings.model(model)
    name = settings.data.name
    session = Session(files.model_path(model), settings.energy.threads)
    probabilities = {}
    for split in files.PREDICTED:
        X, y = files.load_images(split, name)
        probabilities[split] = session.in_batches(X)
        accuracy = correct(probabilities[split][:, None], y).mean()
        print(f"{model}: {accuracy:.2%} of {len(y)} {split} images right")
    files.save_predictions(model, name, **probabilities)


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
