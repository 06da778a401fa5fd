"""Fetch the data set, verify it, split it, and turn it into arrays."""

from collections.abc import Mapping

from eco.data.kinds import kind_of
from eco.data.splits import Split, load_splits
from eco.errors import reported
from eco.estimators.duplicates import SHARE, share_of_copies, share_of_near_copies
from eco.workflow import params
from eco.workflow.artifacts import ENCODING, LABELS, PREDICTED, SPLITS, TARGETS, Labels


def main() -> None:
    """Write the samples of every split, the labels, and how samples became arrays."""
    settings = params.load()
    data = settings.data
    splits, class_names, encoding = load_splits(
        data.name, data.path, data.shares.model_dump(), settings.seed, data.reading
    )
    # First, as names of classes may be refused.
    labels = {split: splits[split].y for split in PREDICTED}
    LABELS.save(Labels(labels, class_names), dataset=data.name)
    ENCODING.save(encoding)
    for split, (X, y) in splits.items():
        SPLITS.save((X, y), split=split, dataset=data.name)
        print(f"{split:13} {len(X):6} {describe(X.shape[1:], encoding.kind)}")
    TARGETS.save(splits["train"].y, kind="hard", dataset=data.name)
    warn_of_near_copies(splits)


def describe(shape: tuple[int, ...], kind: str) -> str:
    """What the samples of a split are."""
    match kind:
        case "images":
            return f"images of {shape[0]} x {shape[1]} pixels{' in colour' * (len(shape) == 3)}"
        case "table":
            return f"rows of {shape[0]} numbers"
    return f"texts of at most {shape[0]} words"


def warn_of_near_copies(splits: Mapping[str, Split]) -> None:
    """Say which splits hold images that are nearly equal to others, of train; or equal samples."""
    train = splits["train"].X
    is_image = kind_of(train) == "images"
    share_of = share_of_near_copies if is_image else share_of_copies
    likeness = "nearly equal" if is_image else "equal"
    for split in PREDICTED:
        share = share_of(splits[split].X, train)
        if share >= SHARE:
            print(
                f"WARNING: {share:.0%} of the samples of {split} are {likeness} to some of train. "
                "If such samples belong together (one person, one recording), nothing that is "
                "found here holds for new ones: name their groups in the data set, or bring its "
                "splits"
            )


if __name__ == "__main__":
    with reported():
        main()
