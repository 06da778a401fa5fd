"""Fetch the data set, verify it, and split it."""

from eco import data, files, params
from eco.errors import reported


def main() -> None:
    """Write the images of every split, and the labels."""
    settings = params.load()
    name = settings.data.name
    shares = settings.data.shares.model_dump()
    splits, class_names = data.load_splits(
        name, settings.data.path, shares, settings.seed, announce=print
    )
    for split, (X, y) in splits.items():
        files.save_images(split, name, X, y)
        print(f"{split:13} {len(X):6} images of {X.shape[1]} x {X.shape[2]} pixels")
    files.save_targets("hard", name, splits["train"].y)
    labels = {split: splits[split].y for split in files.PREDICTED}
    files.save_labels(name, class_names, **labels)


if __name__ == "__main__":
    with reported():
        main()
