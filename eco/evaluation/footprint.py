"""What energy means for people: watt-hours and CO2 per thousand predictions, and break-even."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from eco.strategies.names import CERTIFIED, OTHER_CERTIFIED, TUNED
from eco.strategies.routing import KINDS
from eco.strategies.strategy import Strategy

Row = Mapping[str, Any]

J_PER_WH = 3600.0


def per_thousand(energy_j: float, grid_g_per_kwh: float) -> dict[str, float]:
    """Energy and emissions of a thousand predictions, from J per prediction and g CO2e per kWh.

    In terms of the Software Carbon Intensity (ISO/IEC 21031), SCI = (E x I + M) / R: the unit R
    is a thousand predictions, ``g_co2e_per_1000`` is the operational part E x I, and the embodied
    part M is left out because nothing here measures it.

    >>> per_thousand(3.6, grid_g_per_kwh=50.0)
    {'j_per_1000': 3600.0, 'wh_per_1000': 1.0, 'g_co2e_per_1000': 0.05}
    """
    wh = 1000 * energy_j / J_PER_WH
    co2e_g = wh / 1000 * grid_g_per_kwh
    return {"j_per_1000": 1000 * energy_j, "wh_per_1000": wh, "g_co2e_per_1000": co2e_g}


def break_even(extra_j: float, saved_j: float) -> int | None:
    """Predictions, saving J each, after which extra J of training are paid; None if never.

    >>> break_even(1000.0, saved_j=0.5)
    2000
    """
    return max(0, math.ceil(extra_j / saved_j)) if saved_j > 0 else None


def footprint_row(
    energy_share: Mapping[str, Any],
    reference_j: float,
    extra_j: float,
    grid_g_per_kwh: float,
    realised: bool = False,
) -> dict[str, Any]:
    """Figures per thousand predictions of a strategy, and in words whether it ``pays``.

    Parameters
    ----------
    energy_share : mapping
        A row with ``energy_share``, the strategy's share of the energy of always running the last
        model, and the ends of its 95 % interval.
    reference_j : float
        J per prediction of always running the last model.
    extra_j : float
        J of training, measuring and tuning that the last model alone wouldn't have taken;
        negative if less.
    grid_g_per_kwh : float
        g CO2e per kWh.
    realised : bool
        Whether the share was metered while the strategy ran, not added up from its models'.
    """
    share, low, high = (energy_share[f"energy_share{end}"] for end in ("", "_low", "_high"))
    n, least, most = (
        None if each is None else break_even(extra_j, (1 - each) * reference_j)
        for each in (share, low, high)
    )
    return per_thousand(share * reference_j, grid_g_per_kwh) | {
        "realised": realised,
        "extra_j": extra_j,
        "break_even_predictions": n,
        "break_even_predictions_low": least,
        "break_even_predictions_high": most,
        "pays": "never" if n is None else f"after {n:,} predictions",
    }


def footprint_rows(
    scored: Iterable[Row],
    metered: Iterable[Row],
    extra_j: Mapping[str, float],
    last_j: float,
    grid_g_per_kwh: float,
) -> dict[str, dict[str, Any]]:
    """`footprint_row` by name: always the last model, and every strategy that was found.

    Parameters
    ----------
    scored, metered : iterable of mapping
        Rows of strategies, as `Strategy.from_json` reads them; where one was metered its share
        counts, not the one that was added up.
    extra_j : mapping of str to float
        As `extra_joules` returns it.
    last_j : float
        J per prediction of the last model.
    """
    found = {row["name"].replace(", ", "_"): row for row in scored}
    realised = [(Strategy.from_json(row), row) for row in metered if "kind" in row]
    rows: dict[str, dict[str, Any]] = {"always_last": dict(per_thousand(last_j, grid_g_per_kwh))}
    for name in (name for name in extra_j if name in found):
        strategy = Strategy.from_json(found[name])
        ran = next((row for other, row in realised if other == strategy), None)
        row, is_realised = ran or found[name], ran is not None
        rows[name] = footprint_row(row, last_j, extra_j[name], grid_g_per_kwh, is_realised)
    return rows


def extra_joules(
    models_j: float,
    measuring_j: Mapping[str, float],
    tuning_j: float,
    labelling_j: float,
    routers_j: Mapping[str, float],
    certifying_j: float,
) -> dict[str, float]:
    """J that strategies needed beyond the training of the last model, by name in metrics.

    From J of training the other models, of measuring the ``models`` and the ``routers``, of the
    search for cascades, of running the pool on what routers learn from, of fitting each router,
    and of running the pool on what certifies.
    """
    measured_j = models_j + measuring_j["models"]
    tuned_j = measured_j + tuning_j
    total_j = {TUNED: tuned_j}
    total_j |= dict.fromkeys([CERTIFIED, *OTHER_CERTIFIED.values()], tuned_j + certifying_j)
    for kind in KINDS:
        router = "probe_router" if kind == "probe_cascade" else kind
        total_j[kind] = measured_j + measuring_j["routers"] + labelling_j + routers_j[router]
        total_j[f"{kind}_certified"] = total_j[kind] + certifying_j
    return total_j
