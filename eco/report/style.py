"""Colours, shapes and dashes that the pictures, the page and DVC's plots share.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers
tell apart, and a few more; shapes and dashes are Vega's.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

TEMPLATES = files("eco.report") / "templates"

STYLE: dict[str, Any] = json.loads((TEMPLATES / "style.json").read_text(encoding="utf-8"))


def model_colours(pool: Sequence[str]) -> list[str]:
    """A colour for each model of a pool.

    Examples
    --------
    >>> model_colours(["small", "large"])
    ['#56B4E9', '#D55E00']
    """
    colours = STYLE["models"]
    return [*(colours[i % len(colours)] for i in range(len(pool) - 1)), STYLE["last"]]


def spaced(name: str) -> str:
    """A name as people read it.

    Examples
    --------
    >>> spaced("price_router")
    'price router'
    """
    return name.replace("_", " ")


def counted(n: float, unit: str) -> str:
    """A number with its unit, in the plural unless it is one.

    Examples
    --------
    >>> counted(1.0, "standard error"), counted(0.5, "standard error")
    ('1 standard error', '0.5 standard errors')
    """
    return f"{n:g} {unit}" if n == 1 else f"{n:g} {unit}s"
