"""What every page is made with: its templates, and what stands in them as it is."""

import json
from typing import Any

from eco.errors import extra
from eco.report import tables
from eco.report.style import TEMPLATES, counted

with extra("report"):
    import vl_convert
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup


def environment() -> Environment:
    """Templates of this package, for HTML; figures are formatted by the functions of `tables`."""
    templates = Environment(
        loader=PackageLoader("eco.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.globals |= {"tables": tables, "counted": counted}
    return templates


def assets(data: Any) -> dict[str, Markup]:
    """Style, scripts and data of a page, under the names that templates have for them."""
    return {
        "style": _as_is("report.css"),
        "script": _as_is("report.js"),
        "bundle": Markup(vl_convert.javascript_bundle()),  # type: ignore[call-arg]
        "data": _json(data),
    }


def _as_is(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _json(value: Any) -> Markup:
    """JSON for a script element, which nothing but `<` could end."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))
