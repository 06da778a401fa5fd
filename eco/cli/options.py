"""Types of options that commands share."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A finite number in a range; NaN is in every `click.FloatRange`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error for any other text."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a finite number; got {value}", param, ctx)
        return number
