"""The tables of the page and of the documentation: data frames of text, ready to be rendered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from eco.report.rows import Row, Rows, strategy_of
from eco.report.style import counted, spaced
from eco.strategies.names import strategy_name

if TYPE_CHECKING:  # whose packages a table of predictions doesn't need
    from eco.report.study import Study


def figure(row: Row, key: str, form: str, scale: float = 1.0) -> str:
    """A figure of a row; nothing where the row has none.

    Examples
    --------
    >>> figure({"energy_j": 0.002}, "energy_j", ".1f", 1000)
    '2.0'
    """
    if key not in row:
        return ""
    return "unknown" if row[key] is None else format(scale * row[key], form)


def interval(row: Row, key: str, form: str, scale: float = 1.0) -> str:
    """The 95 % interval of a figure.

    Examples
    --------
    >>> interval({"accuracy_low": 0.88, "accuracy_high": None}, "accuracy", ".1%")
    '[88.0%, unknown]'
    """
    low, high = (figure(row, f"{key}_{end}", form, scale) for end in ("low", "high"))
    return f"[{low}, {high}]" if low else ""


def with_interval(row: Row, key: str, form: str, scale: float = 1.0) -> str:
    """A figure and its interval.

    Examples
    --------
    >>> with_interval({"x": 1, "x_low": 0.5, "x_high": 2}, "x", ".1f")
    '1.0 [0.5, 2.0]'
    """
    return f"{figure(row, key, form, scale)} {interval(row, key, form, scale)}".strip()


def microjoules(row: Row) -> str:
    """The energy of a prediction in µJ, with its interval.

    >>> microjoules({"energy_j": 0.0226, "energy_j_low": 0.0176, "energy_j_high": 0.0276})
    '22,600 [17,600, 27,600]'
    """
    form = ",.0f" if row.get("energy_j", 0) >= 1e-3 else ".3g"
    return with_interval(row, "energy_j", form, 1e6)


def _share_form(row: Row) -> str:
    return ".1f" if row.get("energy_share", 0) >= 10 else ".4f"


def labelled(rows: Rows, labels: Mapping[str, str] | None = None) -> list[tuple[str, Row]]:
    """Rows with what they are called: as `labels` has it, or else by their own names."""
    own = [
        strategy_name("model", row["name"]) if row["strategy"] == "model" else row["name"]
        for row in rows
    ]
    return [
        ((labels or {}).get(row["name"], name), row) for row, name in zip(rows, own, strict=True)
    ]


def compared(study: "Study", rows: Sequence[tuple[str, Row]]) -> pd.DataFrame:
    """Models, oracles or strategies side by side, by what each is called.

    Rows are scores, or what was metered. ``energy`` and ``realised`` are shares of always the last
    model, ``realised, of floats`` of the last model as trained; ``µJ`` and ``samples per J`` are of
    what ran.
    """
    best = study.models[-1]["accuracy"]
    lines = []
    for label, row in rows:
        is_metered, strategy = "batch_size" in row, strategy_of(row)
        ran = row if is_metered else study.realised(row) or {}
        lost = with_interval(row, "accuracy_loss_points", ".2f")
        if not lost and "accuracy" in row:
            lost = f"{100 * (best - row['accuracy']):.2f}"
        lines.append(
            {
                "strategy": label,
                "accuracy": with_interval(row, "accuracy", ".2%"),
                "points lost": lost,
                "µJ": microjoules(ran),
                "samples per J": figure(ran, "samples_per_j", ",.0f"),
                "energy": with_interval({} if is_metered else row, "energy_share", ".4f"),
                "realised": with_interval(ran, "energy_share", _share_form(ran)),
                "realised, of floats": with_interval(ran, "share_of_trained", ".4f"),
                "setting": strategy.describe() if strategy and "kind" in row else "",
            }
        )
    return pd.DataFrame(lines)


def realised(rows: Rows) -> pd.DataFrame:
    """What the strategies took when they ran, beside what the model of energy says."""
    return pd.DataFrame(
        {
            "strategy": row["name"],
            "samples per call": f"{row['batch_size']:,}",
            "µJ per prediction": microjoules(row),
            "realised / modelled": figure(row, "realised_over_modelled", ".2f"),
            "share of the last": with_interval(row, "energy_share", _share_form(row)),
            "of the last as trained": with_interval(row, "share_of_trained", ".3f"),
            "predictions per s": figure(row, "throughput_per_s", ",.0f"),
            "ms a call: 50 %": figure(row, "latency_p50_ms", ".3g"),
            "95 %": figure(row, "latency_p95_ms", ".3g"),
            "99 %": figure(row, "latency_p99_ms", ".3g"),
        }
        for row in rows
    )


def targets(rows: Rows) -> pd.DataFrame:
    """What tuned cascades lose and cost on fresh samples, by what was asked for."""
    limits = {
        "max_accuracy_loss": lambda limit: f"lose {counted(limit, 'point')}",
        "energy_budget": lambda limit: f"{limit:g} of the energy",
    }
    return pd.DataFrame(
        {
            "at most": limits[row["target"]](row["limit"]),
            "margin, standard errors": f"{row['margin_se']:g}",
            "kept in": figure(row, "kept", ".0%"),
            "points lost on fresh samples": with_interval(row, "accuracy_loss_points", ".2f"),
            "energy": with_interval(row, "energy_share", ".4f"),
        }
        for row in rows
    )


def footprint(rows: Mapping[str, Row], labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Energy and emissions of a thousand predictions, and after how many training is paid for."""
    return pd.DataFrame(
        {
            "for 1,000 predictions": (labels or {}).get(name) or spaced(name),
            "mWh": figure(row, "wh_per_1000", ".3g", 1e3),
            "mg CO2e": figure(row, "g_co2e_per_1000", ".3g", 1e3),
            "beyond training the last model, kJ": figure(row, "extra_j", ".3g", 1e-3),
            "has paid for it": row.get("pays", ""),
        }
        for name, row in rows.items()
    )


def doctor(findings: Mapping[str, str]) -> pd.DataFrame:
    """What the pool doctor found."""
    return pd.DataFrame({"check": map(spaced, findings), "finding": findings.values()})


def provenance(models: Row, routers: Row) -> pd.DataFrame:
    """Where the energies of models and routers come from."""
    columns = {"models": dict(flat(models)), "routers": dict(flat(routers))}
    frame = pd.DataFrame(columns).reindex(columns["models"]).fillna("")
    return frame.rename_axis("measured").reset_index()


def settings(values: Row) -> pd.DataFrame:
    """Settings by dotted key."""
    return pd.DataFrame(flat(values), columns=["setting", "value"])


def flat(values: Row, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and values, as text, of nested settings.

    Examples
    --------
    >>> list(flat({"seed": 1, "data": {"name": "digits"}}))
    [('seed', '1'), ('data.name', 'digits')]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            parts = value if isinstance(value, list | tuple) else [value]
            yield f"{prefix}{key}", ", ".join(map(_short, parts))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
