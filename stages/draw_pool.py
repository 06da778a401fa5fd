"""Draw how the models learnt, what one prediction costs, and how far both can be believed."""

from eco import figures, files, params
from eco.errors import reported


def main() -> None:
    """Write the pictures, and the rows of the energy and reliability plots."""
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
        "Training (a point: no epochs; held out is low while a network learns on small images)",
        colour="model",
    )
    reliability = [
        row
        for model in settings.pool
        for row in files.load_rows(
            f"calibration/{model}", ["model", "when", "confidence"], f"calibrate@{model}"
        )
    ]
    files.save_rows("reliability", reliability)
    figures.draw(
        files.picture_path("reliability"),
        "reliability",
        reliability,
        ("confidence", "confidence"),
        ("accuracy", "accuracy on test"),
        "Reliability of each model: on the dashed line confidence means what it says",
    )
    violations = files.load_rows("violations", ["strategy", "violation_rate"], "certify")
    figures.draw(
        files.picture_path("violations"),
        "violations",
        violations,
        ("max_harm_points", "bound on the harm, points"),
        ("violation_rate", "share of new splits in which the certificate was wrong"),
        "Certificates over new splits: below the dashed line they hold",
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
