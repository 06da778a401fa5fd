"""What energy means for people: watt-hours and CO2 per thousand predictions, and break-even."""

import math
from typing import Any

J_PER_WH = 3600.0


def per_thousand(energy_j: float, grid_g_per_kwh: float) -> dict[str, float]:
    """Energy and emissions of a thousand predictions.

    In terms of the Software Carbon Intensity (ISO/IEC 21031), SCI = (E x I + M) / R: the unit R
    is a thousand predictions, ``g_co2e_per_1000`` is the operational part E x I, and the embodied
    part M is left out because nothing here measures it.

    Parameters
    ----------
    energy_j : float
        J per prediction.
    grid_g_per_kwh : float
        Carbon intensity of the grid, g CO2e per kWh.

    Returns
    -------
    dict
        ``j_per_1000``, ``wh_per_1000``, ``g_co2e_per_1000``.

    Examples
    --------
    >>> per_thousand(3.6, grid_g_per_kwh=50.0)
    {'j_per_1000': 3600.0, 'wh_per_1000': 1.0, 'g_co2e_per_1000': 0.05}
    """
    joules = 1000 * energy_j
    wh = joules / J_PER_WH
    return {
        "j_per_1000": joules,
        "wh_per_1000": wh,
        "g_co2e_per_1000": wh / 1000 * grid_g_per_kwh,
    }


def break_even_predictions(extra_training_j: float, saved_j: float) -> int | None:
    """Predictions after which a strategy has paid for the training that it needed beyond the rest.

    Parameters
    ----------
    extra_training_j : float
        J spent on models and selectors that always running the last model wouldn't have needed;
        negative where the strategy does without that model.
    saved_j : float
        J saved per prediction.

    Returns
    -------
    int or None
        None where nothing is saved, so that it never pays.

    Examples
    --------
    >>> break_even_predictions(1000.0, saved_j=0.5)
    2000
    >>> break_even_predictions(1000.0, saved_j=-0.1) is None
    True
    """
    return max(0, math.ceil(extra_training_j / saved_j)) if saved_j > 0 else None


def bill(
    energy_j: float, extra_training_j: float, reference_j: float, grid_g_per_kwh: float
) -> dict[str, Any]:
    """What a strategy costs per thousand predictions, and when it has paid for its training.

    Parameters
    ----------
    energy_j, reference_j : float
        J per prediction of the strategy, and of always running the last model.
    extra_training_j : float
        As in `break_even_predictions`.
    grid_g_per_kwh : float
        As in `per_thousand`.

    Returns
    -------
    dict
        As `per_thousand`, with ``extra_training_j``, ``break_even_predictions`` and, in words,
        whether it ``pays``.
    """
    predictions = break_even_predictions(extra_training_j, reference_j - energy_j)
    return per_thousand(energy_j, grid_g_per_kwh) | {
        "extra_training_j": extra_training_j,
        "break_even_predictions": predictions,
        "pays": "not worth it" if predictions is None else f"after {predictions:,} predictions",
    }
