"""Pictures as PNG, drawn from the same Vega-Lite templates and rows as `dvc plots`.

The templates in .dvc/plots hold DVC's anchors; here they are filled as DVC would fill them for
one revision, so the page and the picture can't tell different stories.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import oxipng
import vl_convert

from eco.errors import FileError
from eco.files import replacing

TEMPLATES = Path(".dvc/plots")


def draw(
    path: Path,
    template: str,
    rows: Sequence[Mapping[str, Any]],
    x: tuple[str, str],
    y: tuple[str, str],
    title: str,
    colour: str | None = None,
    lines: str | None = None,
) -> None:
    """Write a picture.

    Parameters
    ----------
    path : Path
        The PNG to write; the same arguments give the same bytes.
    template : str
        Name of a template in .dvc/plots.
    rows : sequence of mapping
        The data.
    x, y : tuple of str
        Field of the rows, and what its axis is called.
    title : str
    colour : str, optional
        Field that tells the colours apart, where the template takes the revision.
    lines : str, optional
        What the legend of colours is called, which then holds only what the template draws as
        lines, each with dashes of its own.
    """
    anchors = {
        "TITLE": title,
        "X_LABEL": x[1],
        "Y_LABEL": y[1],
        "X": x[0],
        "Y": y[0],
    }
    text = _template(template)
    for anchor, value in anchors.items():
        text = text.replace(f"<DVC_METRIC_{anchor}>", value)
    spec = json.loads(text)
    spec["data"] = {"values": [{"rev": ""} | dict(row) for row in rows]}
    spec["background"] = "white"
    encoding = spec.get("encoding", {})
    by_revision = [channel for channel in encoding if encoding[channel].get("field") == "rev"]
    for channel in by_revision:
        told = encoding.pop(channel)
        if channel == "color" and colour is not None:
            encoding[channel] = told | {"field": colour, "title": lines}
    if lines is not None:
        encoding["color"]["legend"] = {"values": _only_colours(spec), "symbolType": "stroke"}
    # The same picture in a fifth of the bytes: pictures live in git.
    png = oxipng.optimize_from_memory(vl_convert.vegalite_to_png(spec, scale=1.0), level=4)
    with replacing(path) as stream:
        stream.write(png)


def _only_colours(spec: dict[str, Any]) -> list[str]:
    """Leave the legend of dashes out; what it would have listed."""
    listed = []
    for layer in spec["layer"]:
        dashes = layer["encoding"].get("strokeDash")
        if dashes is not None:
            dashes["legend"] = None
            listed += dashes["scale"]["domain"]
    return listed


def _template(name: str) -> str:
    path = TEMPLATES / f"{name}.json"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(
            f"{path} is missing. Bring it back with: git checkout {TEMPLATES}"
        ) from None
