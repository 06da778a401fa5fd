"""The page: one HTML file that needs no network.

Prose, style and script are in `templates`. The pictures and the explorer are drawn by Vega-Lite,
in the page.
"""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra
from eco.evaluation.classes import named
from eco.evaluation.intervals import indistinguishable_pairs
from eco.report import explorer, html
from eco.report.rows import Row, Rows, strategy_of
from eco.report.study import Study
from eco.report.style import STYLE, model_colours, spaced
from eco.strategies.certification import NotCertified
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import always

with extra("report"):
    from PIL import Image

Array = NDArray[Any]

#: Example images of one kind.
EXAMPLES = 6
#: Classes that the page names, and draws.
MOST_CLASSES = 20


def render(
    study: Study,
    outcomes: Outcomes,
    images: Mapping[int, Array],
    class_names: Sequence[str],
    n_samples: Mapping[str, int],
    samples: str = "images",
) -> bytes:
    """The page as HTML.

    Outcomes are of the test split, and so are images, (height, width) of uint8 or in colour, by
    their place: all, some or none. Names of classes are in label order; `n_samples` is the size of
    each split; `samples` are called so.
    """
    pool, headline = outcomes.pool, study.headline
    strategy = (headline and strategy_of(headline)) or always(pool[-1])
    answered_by = decide(strategy, outcomes).answered_by
    data = explorer.data(
        outcomes, study.frontiers.points["accuracy"], study.frontiers.reference_accuracy,
        study.strategies, {**explorer.WORDS, "samples": samples},
    )  # fmt: skip
    rows = plot_rows(study, outcomes.y, answered_by, class_names)
    ties = indistinguishable_pairs(outcomes.readings, pool) if outcomes.readings else []
    templates = html.environment()
    templates.tests["not_certified"] = lambda value: isinstance(value, NotCertified)
    page = templates.get_template("report.html.j2").render(
        study=study,
        settings=study.settings,
        headline=headline,
        strategy=strategy,
        pool=pool,
        last=pool[-1],
        class_names=class_names,
        named=named,
        most_classes=MOST_CLASSES,
        n_classes=len(np.unique(outcomes.y)),
        n_samples=n_samples,
        pictured=bool(images),
        buttons=data["settings"],
        examples=list(examples(images, outcomes, answered_by, class_names)),
        ties=[" and ".join(pair) for pair in ties],
        flags=Counter(flag for row in study.measured for flag in row.get("flags", ())),
        page_settings=page_settings(study),
        not_certified=study.certified.get("cascade"),
        words=data["words"],
        **html.assets(data | rows | {"style": STYLE | {"models": model_colours(pool)}}),
    )
    return page.encode()


def plot_rows(
    study: Study, y: Array, answered_by: Array, class_names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Rows of the pictures: without what no picture shows, names as the tables have them."""
    rows: dict[str, Rows] = {
        "points": study.points,
        "shares": study.shares,
        "classes": by_class(answered_by, y, study.settings.pool, class_names),
        "energy": study.measured,
        "reliability": study.reliability,
        "violations": study.violations,
        "paid": [
            {"name": name, "predictions": row["break_even_predictions"]}
            for name, row in study.footprint.items()
            if row.get("break_even_predictions")
        ],
    }

    def shown(key: str, value: Any) -> Any:
        is_name = key in ("point", "name", "strategy", "label") and value not in study.settings.pool
        return spaced(value) if is_name else value

    return {
        name: [
            {k: shown(k, v) for k, v in row.items() if not isinstance(v, list | dict)}
            for row in of_name
        ]
        for name, of_name in rows.items()
    }


def by_class(
    answered_by: Array, y: Array, pool: Sequence[str], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Share of each class (``point``) that each model answers; the classes that go furthest first.

    Of many classes the first `MOST_CLASSES`.

    Examples
    --------
    >>> rows = by_class(np.array([0, 1, 1]), np.array([0, 0, 1]), ["a", "b"], ["cat", "dog"])
    >>> [(row["point"], row["model"], row["share"]) for row in rows]
    [('dog', 'a', 0.0), ('dog', 'b', 1.0), ('cat', 'a', 0.5), ('cat', 'b', 0.5)]
    """
    present = sorted(np.unique(y), key=lambda label: -answered_by[y == label].mean())
    return [
        {
            "point": class_names[label],
            "model": model,
            "place": place,
            "share": float((answered_by[y == label] == place).mean()),
        }
        for label in present[:MOST_CLASSES]
        for place, model in enumerate(pool)
    ]


def examples(
    images: Mapping[int, Array],
    outcomes: Outcomes,
    answered_by: Array,
    class_names: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Share of the samples and accuracy of each model that answers, and examples by their title.

    Those are, of the images there are, the ones that it was most and least confident of; none is
    both easy and hard.
    """
    samples = np.arange(len(outcomes))
    labels, confidence = (a[samples, answered_by] for a in (outcomes.labels, outcomes.confidence))
    order = np.argsort(-confidence, kind="stable")

    def pick(chosen: Array) -> list[dict[str, Any]]:
        return [
            {
                "png": _png(images[i]),
                "label": class_names[outcomes.y[i]],
                "answer": class_names[labels[i]],
                "confidence": float(confidence[i]),
            }
            for i in chosen
        ]

    for place in np.unique(answered_by):
        answered = order[answered_by[order] == place]
        correct = labels[answered] == outcomes.y[answered]
        kinds = {}
        there = np.array([i in images for i in answered], bool)
        for word, of_kind in (
            ("right", answered[correct & there]),
            ("wrong", answered[~correct & there]),
        ):
            half = min(EXAMPLES, (len(of_kind) + 1) // 2)
            kinds[f"easy, {word}"] = pick(of_kind[:half])
            kinds[f"hard, {word}"] = pick(of_kind[half:][-half:])
        yield {
            "model": outcomes.pool[place],
            "place": int(place),
            "share": len(answered) / len(outcomes),
            "accuracy": float(correct.mean()),
            "examples": kinds,
        }


def _png(image: Array) -> str:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode()


def page_settings(study: Study) -> Row:
    """All settings but the thresholds: an experiment with those must not make the page anew."""
    settings = study.settings
    pool = settings.pool
    values = settings.model_dump(exclude={"cascading": {"thresholds"}})
    return values | {"models": {model: values["models"][model] for model in pool}}
