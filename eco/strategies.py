"""The strategies of the study by name, and each as something that runs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.engine import Answers, Cascade, Model, Routing, Signal
from eco.errors import ParamsError, TargetError
from eco.routing import Policy, priced_choice
from eco.tuning import Setting, for_loss

Array = NDArray[Any]


class Strategy(NamedTuple):
    """A cascade, or a router, before its models are loaded.

    ``kind``: "cascade", "router", "price_router", "probe_router" or "probe_cascade";
    ``models``: those that it may run, by name, in the order they are asked; ``thresholds`` of a
    cascade, one for each; ``policy`` of a router that scores the models.
    """

    name: str
    kind: str
    models: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    policy: Policy = Policy(0.0)

    @property
    def router(self) -> str | None:
        """The router's own graph, where there is one."""
        if self.kind == "cascade":
            return None
        return "probe_router" if self.kind == "probe_cascade" else self.kind

    def row(self) -> dict[str, str]:
        """Its name, models and thresholds as rows of results hold them.

        Examples
        --------
        >>> Strategy("mine", "cascade", ("small", "large"), (0.9, 0.0)).row()
        {'name': 'mine', 'models': 'small large', 'thresholds': '0.9 0.0'}
        """
        thresholds = " ".join(map(str, self.thresholds))
        return {"name": self.name, "models": " ".join(self.models), "thresholds": thresholds}

    def told(self) -> str:
        """The setting in a few words.

        Examples
        --------
        >>> Strategy("mine", "cascade", ("small", "large"), (0.9, 0.0)).told()
        'small 0.9, large 0'
        """
        if self.kind == "cascade":
            pairs = zip(self.models, self.thresholds, strict=True)
            return ", ".join(f"{model} {threshold:g}" for model, threshold in pairs)
        if self.kind == "router":
            return "the model that the oracle's labels taught it"
        goes_on = f", goes on below {self.policy.threshold:g}" if self.policy.threshold else ""
        return f"price {self.policy.price:.3g}{goes_on}"


def always(model: str) -> Strategy:
    """One model for every sample."""
    return Strategy(f"always {model}", "cascade", (model,), (0.0,))


def of_setting(name: str, row: Mapping[str, Any]) -> Strategy:
    """A cascade as `tuning.Setting.row` writes it."""
    return Strategy(name, "cascade", tuple(row["models"]), tuple(row["thresholds"]))


def of_certified(name: str, kind: str, row: Mapping[str, Any], pool: Sequence[str]) -> Strategy:
    """A certified setting of any kind of strategy, as data/certified.json holds it."""
    if kind == "cascade":
        return of_setting(name, row)
    return Strategy(name, kind, tuple(pool), policy=Policy(**row))


#: The certified setting that has a shorter name than its kind.
CERTIFIED = {"cascade": "certified"}
#: Losses of accuracy, in points, whose tuned cascades have names.
LOSSES = (0.0, 0.5, 1.0)


def listed(
    pool: Sequence[str],
    active_models: Sequence[str],
    presets: Mapping[str, Sequence[float]],
    frontier: Sequence[Mapping[str, Any]],
    reference: float,
    certified: Mapping[str, Mapping[str, Any]],
) -> list[Strategy]:
    """Every strategy that has a name: always the last model, presets, tuned, routers, certified.

    Parameters
    ----------
    pool, active_models : sequence of str
        The models, and those that the presets are for.
    presets : mapping of str to sequence of float
        Those with another number of thresholds than active models are left out.
    frontier : sequence of mapping
        As `tuning.Setting.row` writes them, by rising energy.
    reference : float
        Accuracy of the last model on the tuning split.
    certified : mapping of str to mapping
        By kind, as data/certified.json holds them; ``none`` says that nothing is certified.

    Raises
    ------
    ParamsError
        If a preset has the name of another strategy.
    """
    found = [always(pool[-1])]
    found += [
        Strategy(name, "cascade", tuple(active_models), tuple(thresholds))
        for name, thresholds in presets.items()
        if len(thresholds) == len(active_models)
    ]
    points = [Setting.of_row(row, pool) for row in frontier]
    for loss in LOSSES:
        name = f"tuned to lose {loss:g}"
        with suppress(TargetError):  # a pool whose last model isn't the best may meet none
            found.append(of_setting(name, for_loss(points, loss, reference).row(pool)))
    found.append(Strategy("router", "router", tuple(pool)))
    found += [
        of_certified(CERTIFIED.get(kind, f"{kind}, certified"), kind, row, pool)
        for kind, row in certified.items()
        if kind != "router" and "none" not in row
    ]
    names = [strategy.name for strategy in found]
    if twice := [name for name in presets if names.count(name) > 1]:
        raise ParamsError(
            f"cascading.presets in params.yaml must not hold {', '.join(twice)}: another strategy "
            "has that name. Name the preset otherwise."
        )
    return found


def loaded(
    strategy: Strategy,
    session: Callable[[str], Model],
    energy_j: Array,
    pool: Sequence[str],
    probe: str,
    signal: Signal,
) -> Callable[[Any], Answers]:
    """The strategy as something that answers samples.

    Parameters
    ----------
    strategy : Strategy
    session : callable
        Gives a model, or a router, by its name.
    energy_j : array of shape (n_models,)
        J per sample of each model of the pool, which the routers weigh.
    pool : sequence of str
    probe : str
        The model whose answer the probe routers read.
    signal : {"max_probability", "margin", "entropy"}

    Returns
    -------
    callable
        From samples to `Answers`, whose models are those of `strategy.models`.
    """
    models = [session(model) for model in strategy.models]
    if strategy.router is None:
        return Cascade(models, strategy.thresholds, signal)
    router = session(strategy.router)
    if strategy.kind == "router":
        return Routing(router, models, signal=signal)
    at = list(pool).index(probe) if strategy.router == "probe_router" else None
    further_j = energy_j.copy()
    if at is not None:
        further_j[at] = 0.0
    policy = strategy.policy

    def pick(given: Array) -> Array:
        # As many decimals as the scores have on which the policy was chosen.
        return priced_choice(np.round(router(given), 3), further_j, policy.price)

    return Routing(pick, models, at, policy.threshold, signal)
