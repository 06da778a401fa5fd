"""The page, from the files of the study: with example images as far as there are any."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from eco.report import page
from eco.report.study import load_study
from eco.workflow.artifacts import LABELS, SAMPLE, SPLITS
from eco.workflow.outcomes import load_outcomes
from eco.workflow.schema import Params


def make_page(settings: Params) -> bytes:
    """The page as HTML; a `FileError` names a file of results that is missing or damaged."""
    labels, are_images = LABELS.load(dataset=settings.data.name), settings.data.kind == "images"
    return page.render(
        load_study(settings),
        load_outcomes(settings, "test"),
        example_images(settings.data.name) if are_images else {},
        labels.class_names,
        {split: len(y) for split, y in labels.y.items()},
        "images" if are_images else "samples",
    )


def example_images(dataset: str) -> Mapping[int, NDArray[Any]]:
    """Test images by their place: all, or those of the sample in git, or none."""
    if SPLITS.path(split="test").exists():
        images, _ = SPLITS.load(split="test", dataset=dataset)
    elif SAMPLE.path().exists():
        images, _ = SAMPLE.load(dataset=dataset)
    else:
        return {}
    return dict(enumerate(images))
