"""Fetch the data set, verify it, and split it."""

from eco.data.splits import load_splits
from eco.errors import reported
from eco.workflow import params
from eco.workflow.artifacts import IMAGES, LABELS, PREDICTED, TARGETS, Labels


def main() -> None:
    """Write the images of every split, and the labels."""
    settings = params.load()
    dataset, shares = settings.data.name, settings.data.shares.model_dump()
    splits, class_names = load_splits(dataset, settings.data.path, shares, settings.seed)
    # First, as names of classes may be refused.
    labels = {split: splits[split].y for split in PREDICTED}
    LABELS.save(Labels(labels, class_names), dataset=dataset)
    for split, (X, y) in splits.items():
        IMAGES.save((X, y), split=split, dataset=dataset)
        print(f"{split:13} {len(X):6} images of {X.shape[1]} x {X.shape[2]} pixels")
    TARGETS.save(splits["train"].y, kind="hard", dataset=dataset)


if __name__ == "__main__":
    with reported():
        main()
