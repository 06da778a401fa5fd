"""Measure what one prediction of each model costs in joules."""

from eco import energy, files, params
from eco.errors import reported


def main() -> None:
    """Write data/energy.json: J per sample of each model at each batch size."""
    settings = params.load()
    X, _ = files.load_images("test", settings.data.name)
    models = {model: (files.model_path(model), X) for model in settings.pool}
    protocol = settings.energy.model_dump(exclude={"batch_size"})
    measured = energy.benchmark(models, announce=print, **protocol)
    files.save_json(files.ENERGY, measured)
    print(energy.table(measured["measurements"]))


if __name__ == "__main__":
    with reported():
        main()
