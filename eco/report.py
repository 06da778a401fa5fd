"""The report: one HTML page that needs no network, from plain values, arrays and rows.

The prose and the style are in `report.html` and `report.css`. The pictures and the explorer are
drawn by Vega-Lite, in the page, as `report.js` asks for them.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import oxipng
import vl_convert
from numpy.typing import NDArray

from eco.cascading import is_same
from eco.explorer import CASCADES
from eco.files import replacing

Array = NDArray[Any]
Row = Mapping[str, Any]

#: Example images of one kind.
EXAMPLES = 6


def write(path: Path, sections: Mapping[str, str], data: Row) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
    sections : mapping of str to str
        HTML for each place that `report.html` names.
    data : mapping
        What the pictures and the explorer are drawn from.
    """
    beside = Path(__file__).with_name
    page = Template(beside("report.html").read_text(encoding="utf-8")).substitute(
        sections,
        style=beside("report.css").read_text(encoding="utf-8"),
        script=beside("report.js").read_text(encoding="utf-8"),
        bundle=vl_convert.javascript_bundle(),  # type: ignore[call-arg]
        # In a script element nothing but `<` could end it.
        data=json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
    )
    with replacing(path) as stream:
        stream.write(page.encode())


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: int = 0) -> str:
    """A table that scrolls on a narrow screen; every cell is escaped.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    rows : iterable of sequence
    numbers : int
        How many columns after the first hold numbers.
    """
    kind = ["", *[' class="number"'] * numbers, *[""] * len(head)]
    titles = "".join(f'<th scope="col"{k}>{escape(h)}</th>' for k, h in zip(kind, head))  # noqa: B905
    lines = []
    for first, *others in rows:
        cells = "".join(f"<td{k}>{escape(str(c))}</td>" for k, c in zip(kind[1:], others))  # noqa: B905
        lines.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    body = f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    label = f"table by {escape(head[0])}"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{label}">{body}</div>'


def told(row: Row, key: str, form: str) -> str:
    """A figure of a row with its interval.

    Examples
    --------
    >>> told({"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": None}, "accuracy", ".1%")
    '90.0% [88.0%, unknown]'
    """
    value, low, high = (
        "unknown" if number is None else format(number, form)
        for number in (row.get(key + end) for end in ("", "_low", "_high"))
    )
    return f"{value} [{low}, {high}]"


def shown(strategies: Sequence[Row]) -> Row | None:
    """The cascade that the page speaks of: tuned, or else certified, or else the first preset."""
    ranked = [row for kind in CASCADES for row in strategies if row["name"] == kind]
    return next(iter([*ranked, *(row for row in strategies if row["strategy"] == "preset")]), None)


def headline(strategies: Sequence[Row], metered: Sequence[Row], batch_size: int, last: str) -> str:
    """The three numbers that matter: energy saved, modelled and realised, and accuracy lost.

    Parameters
    ----------
    strategies : sequence of mapping
    metered : sequence of mapping
        As in `realised`.
    batch_size : int
        The batch size whose realised figure is wanted.
    last : str
        The model that the others are held against.
    """
    row = shown(strategies)
    if row is None:
        return "<p>No cascade was found or given, so there is nothing to put in front.</p>"
    kind = escape(row["name"] if row["strategy"] in CASCADES[:2] else f"preset {row['name']}")
    cards = [
        _card(_saved(row), f"of {last}'s energy saved, modelled", "from J per prediction"),
        _card(
            f"{row['accuracy_loss_points']:.2f} points|{_interval(row, 'accuracy_loss_points')}",
            "of accuracy lost",
            f"{told(row, 'accuracy', '.2%')} right",
        ),
    ]
    of_kind = [found for found in metered if is_same(found, row)]
    same = [found for found in of_kind if found["batch_size"] == batch_size] or of_kind
    if same:
        realised = f"measured as it ran, batch size {same[-1]['batch_size']}"
        cards.append(_card(_saved(same[-1]), f"of {last}'s energy saved, realised", realised))
    else:
        cards.append(_card("not metered|", "energy saved, realised", "no running was metered"))
    chain = " → ".join(f"{escape(m)} <small>{escape(t)}</small>" for m, t in _members(row))
    front = f'<p>The <b>{kind}</b> cascade, {chain}:</p><div class="cards">{"".join(cards)}</div>'
    for other in strategies:
        if other["name"] == "certified" and other is not row:
            saved, lost = _saved(other).replace("|", " "), other["accuracy_loss_points"]
            front += (
                f"<p>The <b>certified</b> cascade saves {saved} of {escape(last)}'s energy, "
                f"modelled, and loses {lost:.2f} {_interval(other, 'accuracy_loss_points')} "
                "points of accuracy.</p>"
            )
    return front


def _members(row: Row) -> Iterable[tuple[str, str]]:
    models, thresholds = (row.get(key, "").split() for key in ("models", "thresholds"))
    return zip_longest(models, thresholds, fillvalue="")


def _saved(row: Row) -> str:
    ends = (row.get("energy_share_high"), row.get("energy_share_low"))
    low, high = ("unknown" if end is None else f"{1 - end:.1%}" for end in ends)
    return f"{1 - row['energy_share']:.1%}|[{low}, {high}]"


def _interval(row: Row, key: str) -> str:
    return told(row, key, ".2f").split(" ", 1)[1]


def _card(number: str, meaning: str, how: str) -> str:
    value, interval = number.split("|")
    return (
        f'<div class="card"><strong>{escape(value)}</strong> <span>{escape(interval)}</span>'
        f"<p>{escape(meaning)}</p><p><small>{escape(how)}</small></p></div>"
    )


def missing(strategies: Sequence[Row], certified: Row) -> str:
    """What was asked for and not found, and why."""
    notes = []
    if not any(row["name"] == "tuned" for row in strategies):
        notes.append("No tuned cascade: no setting met the target on the tuning images.")
    if "none" in certified:
        notes.append(f"No certified cascade: {certified['none']}.")
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def compared(points: Sequence[Row], strategies: Sequence[Row]) -> str:
    """The table of all models and strategies."""
    alone = [row for row in points if row["strategy"] in ("model", "oracle")]
    best = [row for row in alone if row["strategy"] == "model"][-1]["accuracy"]
    lines = []
    for row in [*alone, *strategies]:
        lost = f"{100 * (best - row['accuracy']):.2f}"
        if "accuracy_loss_points" in row:
            lost = told(row, "accuracy_loss_points", ".2f")
        chain = ", ".join(f"{model} {threshold}".strip() for model, threshold in _members(row))
        name = "always " + row["name"] if row["strategy"] == "model" else row["name"]
        figures = (told(row, "accuracy", ".2%"), lost, told(row, "energy_share", ".4f"))
        lines.append([name.replace("_", " "), *figures, chain])
    return table(("strategy", "accuracy", "points lost", "energy share", "models"), lines, 3)


def by_class(
    answered_by: Array, y: Array, pool: Sequence[str], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """Share of each class that each model answers; classes that go furthest come first.

    Parameters
    ----------
    answered_by, y : arrays of shape (n_samples,)
    pool, class_names : sequences of str

    Returns
    -------
    list of dict
        ``point`` (the class), ``model``, ``place``, ``share``.

    Examples
    --------
    >>> rows = by_class(np.array([0, 1, 1]), np.array([0, 0, 1]), ["a", "b"], ["cat", "dog"])
    >>> [(row["point"], row["model"], row["share"]) for row in rows]
    [('dog', 'a', 0.0), ('dog', 'b', 1.0), ('cat', 'a', 0.5), ('cat', 'b', 0.5)]
    """
    present = [label for label in range(len(class_names)) if (y == label).any()]
    present.sort(key=lambda label: -answered_by[y == label].mean())
    return [
        {
            "point": class_names[label],
            "model": model,
            "place": place,
            "share": float((answered_by[y == label] == place).mean()),
        }
        for label in present
        for place, model in enumerate(pool)
    ]


def examples(
    images: Array,
    y: Array,
    labels: Array,
    confidence: Array,
    answered_by: Array,
    pool: Sequence[str],
    class_names: Sequence[str],
) -> str:
    """Images answered by each model: those that it was surest and least sure of, right and wrong.

    Parameters
    ----------
    images : array of shape (n_samples, height, width), uint8
    y, answered_by : arrays of shape (n_samples,)
    labels, confidence : arrays of shape (n_samples, n_models)
    pool, class_names : sequences of str
    """
    samples = np.arange(len(y))
    given, sure = labels[samples, answered_by], confidence[samples, answered_by]
    order = np.argsort(-sure, kind="stable")
    blocks = []
    for place in np.unique(answered_by):
        here = order[answered_by[order] == place]
        right = given[here] == y[here]
        groups = []
        for word, of_kind in (("right", here[right]), ("wrong", here[~right])):
            half = min(EXAMPLES, (len(of_kind) + 1) // 2)  # no image is both easy and hard
            for title, picked in (("easy", of_kind[:half]), ("hard", of_kind[half:][-half:])):
                pictures = "".join(
                    _example(images[i], class_names[y[i]], class_names[given[i]], sure[i])
                    for i in picked
                )
                groups.append(
                    f"<div><h4>{title}, {word}</h4>"
                    f'<div class="images">{pictures or "<p>none</p>"}</div></div>'
                )
        share = f"{len(here) / len(y):.1%} of the images, {right.mean():.1%} of them right"
        blocks.append(
            f'<h3><i class="dot" data-colour="{place}"></i>{escape(pool[place])} '
            f'<small>{share}</small></h3><div class="kinds">{"".join(groups)}</div>'
        )
    return "".join(blocks)


def _example(image: Array, actual: str, given: str, sure: float) -> str:
    height, width = image.shape
    raw = oxipng.RawImage(
        image.tobytes(), width, height, color_type=oxipng.ColorType.grayscale()
    ).create_optimized_png(level=2)
    right = actual == given
    said = escape(actual if right else f"{actual} → {given}")
    return (
        f'<figure class="{"right" if right else "wrong"}"><img width="{width}" height="{height}" '
        f'src="data:image/png;base64,{base64.b64encode(raw).decode()}" alt="image of {said}">'
        f"<figcaption>{said} <b>{sure:.2f}</b></figcaption></figure>"
    )


def realised(rows: Sequence[Row]) -> str:
    """What the strategies took when they ran, beside what the model of energy says.

    Parameters
    ----------
    rows : sequence of mapping
        ``name``, ``batch_size``, ``energy_j`` and ``energy_share`` of always the last model on the
        same path, both with ``_low`` and ``_high``, ``realised_over_modelled``,
        ``throughput_per_s``, ``latency_p50_ms``, ``latency_p95_ms``, ``latency_p99_ms``.
    """
    if not rows:
        return '<p class="note">In this run no strategy was metered while it ran.</p>'
    head = ["strategy", "images per call", "µJ per prediction", "realised / modelled"]
    head += ["energy share", "of the last as trained"]
    head += ["predictions per s", "ms a call, half", "95 %", "99 %"]
    micro = [
        {key: 1e6 * row[key] for key in row if key.startswith("energy_j")} | {"row": row}
        for row in rows
    ]
    lines = [
        [
            str(row["name"]).replace("_", " "),
            f"{row['batch_size']:,}",
            told(line, "energy_j", ".3g"),
            _if_there(row, "realised_over_modelled", ".2f"),
            told(row, "energy_share", ".3f"),
            told(row, "share_of_trained", ".3f") if "share_of_trained" in row else "–",
            _if_there(row, "throughput_per_s", ",.0f"),
            *(_if_there(row, f"latency_p{part}_ms", ".3g") for part in (50, 95, 99)),
        ]
        for line in micro
        for row in [line["row"]]
    ]
    return table(head, lines, len(head) - 1)


def _if_there(row: Row, key: str, form: str) -> str:
    # Latencies are taken of single samples, and what ran as trained has no model of its energy.
    return f"{row[key]:{form}}" if key in row else "–"


def paid(footprint: Mapping[str, Row]) -> str:
    """Energy and emissions of a thousand predictions, and after how many training is paid for."""
    lines = [
        [
            name.replace("_", " "),
            f"{1e3 * row['wh_per_1000']:.3g}",
            f"{1e3 * row['g_co2e_per_1000']:.3g}",
            f"{row.get('extra_training_j', 0) / 1e3:.3g}",
            row.get("pays", ""),
        ]
        for name, row in footprint.items()
    ]
    head = ("for 1,000 predictions", "mWh", "mg CO2e", "training beyond the last model, kJ")
    return table((*head, "has paid for it"), lines, 3)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Dotted keys and values of nested settings.

    Examples
    --------
    >>> list(flat({"seed": 1, "data": {"name": "digits"}}))
    [('seed', '1'), ('data.name', 'digits')]
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            values = value if isinstance(value, list) else [value]
            shown = (f"{v:.6g}" if isinstance(v, float) else str(v) for v in values)
            yield f"{prefix}{key}", ", ".join(shown)


def asked(
    settings: Mapping[str, Any], used: Mapping[str, int], class_names: Sequence[str], measured: Row
) -> str:
    """What was asked for, in words.

    Parameters
    ----------
    settings : mapping
        As in params.yaml.
    used : mapping of str to int
        Number of images of each split.
    class_names : sequence of str
    measured : mapping
        Provenance of the energy.
    """
    pool, goal, bound = settings["pool"], settings["tuning"], settings["certification"]
    limit = {
        "max_accuracy_loss": f"lose at most {goal['max_accuracy_loss']:g} points of accuracy below",
        "energy_budget": f"spend at most {goal['energy_budget']:g} of the energy of",
    }[goal["target"]]
    items = [
        f"Pool, light to heavy: {', '.join(pool)}. The last is what the others are held against.",
        f"Tuned: {limit} {pool[-1]}, as seen on {used['tuning']:,} tuning images.",
        f"Certified: harm at most {bound['max_harm']:g} points of the images, with probability "
        f"{1 - bound['delta']:g}, shown on {used['certification']:,} images that took part in "
        f"nothing else. Harmed is an image that {pool[-1]} has right and the cascade hasn't.",
        f"All accuracies here: {used['test']:,} test images of {len(class_names)} classes "
        f"({', '.join(class_names)}), on which nothing was chosen.",
        f"All energies here: joules per prediction at batch size "
        f"{settings['energy']['batch_size']:,}, {measured.get('call_path', 'call path unknown')}; "
        "every model that ran counts, and the router.",
        "In brackets: 95% intervals.",
    ]
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def provenance(models: Row, routers: Row, measured: Sequence[Row], ties: str) -> str:
    """Where the energies come from, and which are to be read with care.

    Parameters
    ----------
    models, routers : mapping
        Provenance of the energies of each.
    measured : sequence of mapping
        The measurements.
    ties : str
        Pairs of models that the readings can't tell apart.
    """
    flags = Counter(row["flags"] for row in measured if row.get("flags"))
    flagged = "; ".join(f"{flag}, {n} of {len(measured)}" for flag, n in flags.items())
    notes = {"figures to be read with care": flagged or "none", "models not told apart": ties}
    both = dict(flat(models)), dict(flat(routers))
    lines = [(key, *(found.get(key, "") for found in both)) for key in both[0]]
    told = "".join(f"<p>{k.capitalize()}: {escape(v)}.</p>" for k, v in notes.items())
    return table(("measured", "models", "routers"), lines) + told


def findings(doctor: Mapping[str, str]) -> str:
    """What the pool doctor found."""
    return table(
        ("check", "finding"),
        ((check.replace("_", " "), finding) for check, finding in doctor.items()),
    )


def break_even(footprint: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Rows of the break-even picture: the strategies that pay at all."""
    return [
        {"name": name.replace("_", " "), "predictions": row["break_even_predictions"]}
        for name, row in footprint.items()
        if row.get("break_even_predictions")
    ]


def drawn(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the pictures: without what no picture shows, names as the tables have them."""

    def as_drawn(key: str, value: Any) -> Any:
        told = key in ("point", "name", "strategy", "label")
        return value.replace("_", " ") if told else value

    return {
        name: [
            {k: as_drawn(k, v) for k, v in row.items() if not isinstance(v, list | dict)}
            for row in of_name
        ]
        for name, of_name in rows.items()
    }
