"""Draw what depends on no strategy: how the models learnt, and what one prediction costs."""

from eco import figures, files, params
from eco.errors import reported


def main() -> None:
    """Write the pictures of training and energy, and the rows of the energy plot."""
    settings = params.load()
    training = [
        row
        for model in settings.pool
        for row in files.load_rows(
            f"training/{model}", ["epoch", "split", "accuracy"], f"train@{model}"
        )
    ]
    measurements = [
        *files.energy_rows(files.ENERGY, "benchmark"),
        *files.energy_rows(files.ROUTER_ENERGY, "benchmark_router"),
    ]
    files.save_rows("energy", measurements)
    figures.draw(
        files.picture_path("training_curves"),
        "training",
        training,
        ("epoch", "epoch"),
        ("accuracy", "accuracy"),
        "Training (a model that has no epochs shows as a point)",
        colour="model",
    )
    figures.draw(
        files.picture_path("energy"),
        "energy",
        measurements,
        ("batch_size", "batch size, images per call (log scale)"),
        ("energy_j", "J per prediction, CPU (log scale)"),
        "Energy of one prediction, with 95 % intervals",
    )


if __name__ == "__main__":
    with reported():
        main()
