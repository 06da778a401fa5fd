"""Rows of results, on their way to pages and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from eco.strategies.strategy import Strategy, always

Row = Mapping[str, Any]
Rows = Sequence[Row]

#: Families of strategies that are one cascade; a page speaks of the first that there is.
CASCADES = ("tuned", "certified", "preset")


def strategy_of(row: Row) -> Strategy | None:
    """The strategy of a row, if it holds one or is of a single model."""
    if row.get("strategy") == "model":
        return always(row["name"])
    return Strategy.from_json(row) if "kind" in row else None
