"""Fetch the data set, verify it, and split it."""

from eco import data, files, params
from eco.errors import reported


def main() -> None:
    """Write data/train.npz, data/validation.npz, data/test.npz and data/labels.npz."""
    settings = params.load()
    name = settings.data.name
    splits = data.load_splits(
        name, settings.data.folder, settings.data.validation_share, settings.seed, announce=print
    )
    for split, (X, y) in splits.items():
        files.save_images(split, name, X, y)
        print(f"{split:10} {len(X):6} images of {X.shape[1]} x {X.shape[2]} pixels")
    labels = {split: splits[split].y for split in ("validation", "test")}
    files.save_labels(name, data.CLASS_NAMES[name], **labels)


if __name__ == "__main__":
    with reported():
        main()
