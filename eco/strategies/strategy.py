"""What a strategy is: a cascade or a router, by its models and settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

Kind = Literal["cascade", "agreement", "router", "price_router", "probe_router", "probe_cascade"]


@dataclass(frozen=True)
class Strategy:
    """A cascade or a router, by its models and settings; equal if these are.

    Parameters
    ----------
    kind : str
        ``"cascade"``: models in turn, until one reaches its threshold. ``"agreement"``: models in
        turn, until two give the same label. ``"router"``: a classifier trained on oracle labels
        picks one model. ``"price_router"``, ``"probe_router"``: the best predicted P(correct)
        minus price x energy, from the sample or from the probabilities of a probe.
        ``"probe_cascade"``: as ``"probe_router"``, and below a threshold the last model runs too.
    models : tuple of str
        Of a cascade, in the order they run; of a router, the pool.
    thresholds : tuple of float
        Of a cascade, one for each model, the last 0.0; of a probe cascade, the one of the picked
        model.
    price : float, optional
        P(correct) given up to save one run of the last model.
    probe : str, optional
        The model that runs first, whose probabilities the router reads.
    """

    kind: Kind
    models: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    price: float | None = None
    probe: str | None = None

    @property
    def router(self) -> str | None:
        """Name of the router's own model, if there is one."""
        if self.kind in ("cascade", "agreement"):
            return None
        return "probe_router" if self.kind == "probe_cascade" else self.kind

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values; unused ones are left out.

        >>> Strategy("cascade", ("small", "large"), (0.9, 0.0)).to_json()
        {'kind': 'cascade', 'models': ['small', 'large'], 'thresholds': [0.9, 0.0]}
        """
        values = {key: value for key, value in asdict(self).items() if value not in (None, ())}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The strategy that `to_json` wrote; other keys of a row are ignored.

        Raises `KeyError`, `TypeError` or `ValueError` if these aren't the settings of a strategy.
        """
        models, thresholds = tuple(values["models"]), tuple(values.get("thresholds", ()))
        strategy = cls(values["kind"], models, thresholds, values.get("price"), values.get("probe"))
        if not strategy._is_complete():
            raise ValueError(f"not the settings of a strategy: {strategy}")
        return strategy

    def _is_complete(self) -> bool:
        """Whether there are the settings of this kind, and no others."""
        price = () if self.price is None else (self.price,)
        n_thresholds = {"cascade": len(self.models), "probe_cascade": 1}.get(self.kind, 0)
        return (
            self.kind in get_args(Kind)
            and bool(self.models)
            and len(self.thresholds) == n_thresholds
            and len(price) == (self.kind in ("price_router", "probe_router", "probe_cascade"))
            and (self.probe in self.models) == (self.kind in ("probe_router", "probe_cascade"))
            and all(isinstance(number, int | float) for number in (*self.thresholds, *price))
        )

    def describe(self) -> str:
        """The settings in a few words, for people.

        >>> Strategy("cascade", ("small", "large"), (0.9, 0.0)).describe()
        'small 0.9, large 0'
        """
        if self.kind == "agreement":
            return ", ".join(self.models)
        if self.kind == "cascade":
            pairs = zip(self.models, self.thresholds, strict=True)
            return ", ".join(f"{model} {threshold:g}" for model, threshold in pairs)
        if self.kind == "router":
            return "trained on oracle labels"
        fallback = f", {self.models[-1]} below {self.thresholds[0]:g}" if self.thresholds else ""
        return f"price {self.price:.3g}{fallback}"


def always(model: str) -> Strategy:
    """One model for every sample."""
    return Strategy("cascade", (model,), (0.0,))


@dataclass(frozen=True)
class OperatingPoint:
    """A strategy, and its figures on the samples that it was found on."""

    strategy: Strategy
    accuracy: float  #: Share of correct answers; of unharmed ones, on a frontier of harm.
    energy_j: float  #: J per sample.
    accuracy_se: float = 0.0  #: Standard error of the difference in accuracy to the last model.
    energy_se_j: float = 0.0  #: Standard error of `energy_j`.

    def to_json(self) -> dict[str, Any]:
        """Settings and figures as JSON values."""
        figures = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        return self.strategy.to_json() | figures

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The point that `to_json` wrote; raises as `Strategy.from_json` does."""
        figures = [values[field.name] for field in fields(cls)[1:]]
        if not all(isinstance(figure, int | float) for figure in figures):
            raise ValueError(f"not the figures of a strategy: {figures}")
        return cls(Strategy.from_json(values), *figures)
