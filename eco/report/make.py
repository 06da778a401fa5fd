"""The page, from the files of the study: with example images as far as there are any."""

from typing import Any

from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.report import page
from eco.report.study import load_study
from eco.workflow.artifacts import LABELS, SAMPLE, SPLITS
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params


def make_page(settings: Params) -> bytes:
    """The page as HTML; a `FileError` names a file of results that is missing or damaged."""
    labels, X = LABELS.load(dataset=settings.data.name), samples_of_test(settings.data.name)
    are_images = X is not None and kind_of(X) == "images"
    return page.render(
        load_study(settings),
        load_outcomes(settings, "test"),
        dict(enumerate(X)) if X is not None and are_images else {},
        labels.class_names,
        {split: len(y) for split, y in labels.y.items()},
        "images" if are_images else "samples",
    )


def samples_of_test(dataset: str) -> NDArray[Any] | None:
    """Samples of test: all, or those of the sample in git, which are the first ones, or none."""
    if SPLITS.path(split="test").exists():
        return SPLITS.load(split="test", dataset=dataset)[0]
    if SAMPLE.path().exists():
        return SAMPLE.load(dataset=dataset)[0]
    return None
