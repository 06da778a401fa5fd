"""Fetch the data set, verify it, and split it."""

from collections.abc import Mapping

from eco.data.splits import Split, load_splits
from eco.errors import reported
from eco.estimators.duplicates import SHARE, share_of_near_copies
from eco.workflow import params
from eco.workflow.artifacts import LABELS, PREDICTED, SPLITS, TARGETS, Labels


def main() -> None:
    """Write the images of every split, and the labels."""
    settings = params.load()
    dataset, shares = settings.data.name, settings.data.shares.model_dump()
    splits, class_names = load_splits(dataset, settings.data.path, shares, settings.seed)
    # First, as names of classes may be refused.
    labels = {split: splits[split].y for split in PREDICTED}
    LABELS.save(Labels(labels, class_names), dataset=dataset)
    for split, (X, y) in splits.items():
        SPLITS.save((X, y), split=split, dataset=dataset)
        print(f"{split:13} {len(X):6} images of {X.shape[1]} x {X.shape[2]} pixels")
    TARGETS.save(splits["train"].y, kind="hard", dataset=dataset)
    warn_of_near_copies(splits)


def warn_of_near_copies(splits: Mapping[str, Split]) -> None:
    """Say which splits hold images that are nearly equal to others, of train."""
    for split in PREDICTED:
        share = share_of_near_copies(splits[split].X, splits["train"].X)
        if share >= SHARE:
            print(
                f"WARNING: {share:.0%} of the images of {split} are nearly equal to some of train. "
                "If such images belong together (one person, one recording), nothing that is found "
                "here holds for new ones: name their groups in the data set, or bring its splits"
            )


if __name__ == "__main__":
    with reported():
        main()
