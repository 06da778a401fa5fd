"""Classes that are named, by text or by whole numbers, as labels 0, 1, ..."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.data.columns import MANY, check_cells, is_blank, is_missing, lacks_number, texts
from eco.errors import DataError, shortened

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

NUMBER = re.compile(r"-?\d+(\.\d*)?")


def label(where: str, given: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Labels of the parts of a file, and the names of the classes: those of the first part, sorted.

    Parameters
    ----------
    where : str
        What messages begin with.
    given : mapping of str to array of shape (n_samples,)
        Classes of each part, text or numbers, by the name of their array.

    Raises
    ------
    DataError
        If a class is missing, is in another part only, or is a number to be predicted as such.
    """
    import pandas as pd

    named: dict[str, list[str]] = {}
    for array, classes in given.items():
        if classes.ndim != 1 or classes.dtype.kind not in "OUbiuf":
            raise DataError(
                f"{where}: {array} must hold a class for each sample, as text or whole numbers; "
                f"got {classes.dtype} of shape {classes.shape}"
            )
        values = pd.Series(classes, dtype=object, name=array)
        check_cells(values, array, where, dates=True)
        if (lacking := _lacking(values)).any():
            row, held = int(lacking.argmax()), "nothing"
            if not is_missing(values[[row]]) and not is_blank(values[[row]]):
                held = f"{values[row]}, which stands for nothing among numbers"
            problem = f"row {row} must hold a class; it holds {held}"
            raise DataError(f"{where}: {array}, {problem}", "Fill it in, or delete the row.")
        named[array] = [text for text in texts(values) if text is not None]
    first = next(iter(named))
    names = sorted_names(where, first, set(named[first]))
    places = {name: place for place, name in enumerate(names)}
    for array, found in named.items():
        if new := sorted(set(found) - places.keys()):
            raise DataError(
                f"{where}: classes of {array} must be in {first} too; got {shortened(new[0], 40)}"
            )
    return {array: np.array([places[x] for x in found]) for array, found in named.items()}, names


def _lacking(values: "pd.Series[Any]") -> Array:
    """Which rows have no class: among numbers NA and the like are none, too."""
    lacking = lacks_number(values)
    others = {str(text) for text in texts(values[~lacking])}
    are_numbers = others and all(map(NUMBER.fullmatch, others))
    return lacking if are_numbers else is_missing(values) | is_blank(values)


def sorted_names(where: str, array: str, names: set[str]) -> list[str]:
    """Classes by number, if all of them are numbers; else by the alphabet.

    Raises a `DataError` if two are the same number, or the same text but for blanks around it.
    """
    are_numbers = all(map(NUMBER.fullmatch, names))
    meant: dict[Decimal | str, str] = {}
    for name in sorted(names):
        other = meant.setdefault(Decimal(name) if are_numbers else name.strip(), name)
        if other != name:
            found = f"{shortened(repr(other), 40)} and {shortened(repr(name), 40)}"
            raise DataError(f"{where}: {array} must write each class alike; got {found}")
    if not are_numbers:
        return sorted(names)
    numbers = sorted(names, key=Decimal)
    fractions = [name for name in numbers if not float(name).is_integer()]
    if fractions and len(numbers) > MANY:
        raise DataError(
            f"{where}: {array} must hold classes, as text or whole numbers; got {len(numbers)} "
            f"numbers such as {fractions[0]}",
            "To predict a number, divide it into classes first.",
        )
    return numbers
