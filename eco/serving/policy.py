"""Which of several strategies in memory answers the next request."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.evaluation.budget import J_PER_KWH, Budget, Series
from eco.evaluation.drift import ShareMonitor

Array = NDArray[Any]
#: By name: what a figure means, and what reads it.
Gauges = Mapping[str, tuple[str, Callable[[], float]]]

#: Samples between two looks at the shares.
LOOK = 100
NOT_SEEN = "what leaves the shares of the models as they are; whether a shift does harm"

log = logging.getLogger(__name__)


class Policy:
    """The first strategy, always."""

    def choose(self) -> int:
        """The strategy that answers next."""
        return 0

    def refuse(self, n: int) -> float:  # noqa: ARG002
        """Seconds after which n samples may be answered; 0.0 where they are answered now."""
        return 0.0

    def observe(self, answered_by: Array, joules: float) -> None:
        """Learn what was answered: (n,) indices of the models, and J of all together."""

    def gauges(self) -> Gauges:
        """Figures for Prometheus."""
        return {}

    def state(self) -> dict[str, Any]:
        """Figures for people, as JSON values."""
        return {}


class DriftPolicy(Policy):
    """The first strategy until the shares of its models have changed, then perhaps the second.

    Parameters
    ----------
    reference : array of shape (n_exits,)
        Held-out samples by the model of the first strategy that answered them.
    alpha : float
        Probability that a stream like these ever raises an alarm.
    fallback : str, optional
        What the second strategy is called; without one there is a warning alone.
    """

    def __init__(self, reference: Array, alpha: float, fallback: str | None) -> None:
        self._monitor, self._fallback = ShareMonitor(reference, alpha), fallback
        self._pending, self._n_pending = np.zeros_like(self._monitor.reference), 0

    def choose(self) -> int:
        """The strategy that answers next."""
        return int(self._fallback is not None and self._monitor.alarm)

    def observe(self, answered_by: Array, joules: float) -> None:  # noqa: ARG002
        """Count the answers until there is an alarm, and look at them now and then."""
        if self._monitor.alarm:
            return
        self._pending += np.bincount(answered_by, minlength=len(self._pending))
        self._n_pending += len(answered_by)
        if self._n_pending < LOOK:
            return
        self._monitor.update(self._pending)
        self._pending, self._n_pending = np.zeros_like(self._pending), 0
        if self._monitor.alarm:
            then = f"From now on {self._fallback} answers. " if self._fallback else ""
            log.warning(
                "drift: the models answer other shares than on held-out samples, seen at sample "
                "%d. %sNot seen is %s. Start the server again to begin anew.",
                self._monitor.n_samples, then, NOT_SEEN,
            )  # fmt: skip

    def gauges(self) -> Gauges:
        """Evidence, and whether it was enough."""
        monitor = self._monitor
        return {
            "drift_e_value": ("Evidence against unchanged shares.", lambda: monitor.e_value),
            "drift_alarm": ("1 after an alarm.", lambda: monitor.alarm),
            "drift_samples": ("Samples that were looked at.", lambda: monitor.n_samples),
        }

    def state(self) -> dict[str, Any]:
        """What was seen, and what can't be."""
        monitor = self._monitor
        return {
            "drift": {
                "alarm": monitor.alarm, "alarm_at_sample": monitor.alarm_at,
                "e_value": monitor.e_value, "alarm_from_e_value": 1 / monitor.alpha,
                "samples": monitor.n_samples, "fallback": self._fallback,
                "fallback_answers": bool(self.choose()), "not_seen": NOT_SEEN,
            }
        }  # fmt: skip


class BudgetPolicy(Policy):
    """The dearest strategy that keeps a limit an hour; strategies are by rising energy.

    Parameters
    ----------
    settings : sequence of str
        The strategies, for people.
    energy_j : sequence of float
        Their J per sample.
    per_hour : float
        The limit, J, or g CO2e where there is a grid.
    grid : Series or float, optional
        g CO2e per kWh; times are those of the system.
    refuses : bool
        Whether samples are refused where the cheapest costs more than the limit allows.
    """

    def __init__(
        self, settings: Sequence[str], energy_j: Sequence[float], per_hour: float,
        grid: Series | float | None, refuses: bool = False,
    ) -> None:  # fmt: skip
        self._settings, self._grid, self._refuses = settings, grid, refuses
        self._budget = Budget(energy_j, per_hour, time.monotonic())
        self._unit = "J" if grid is None else "g CO2e"
        self._setting, self._spent, self._is_over, self._is_covered = 0, 0.0, False, True
        self._refused = 0

    def choose(self) -> int:
        """The strategy that answers next."""
        self._setting = self._budget.choose(time.monotonic())
        return self._setting

    def refuse(self, n: int) -> float:
        """Seconds until the cheapest setting may answer; 0.0 where nothing is refused."""
        if not self._refuses:
            return 0.0
        wait_s = self._budget.wait_s(time.monotonic(), n * self._unit_per_j())
        self._refused += n if wait_s else 0
        return wait_s

    def observe(self, answered_by: Array, joules: float) -> None:  # noqa: ARG002
        """Spend what the answers cost."""
        amount = joules * self._unit_per_j()
        self._budget.spend(amount)
        self._spent += amount
        if self._budget.fill < -1 and not self._is_over and not self._refuses:
            log.warning(
                "budget: more than %g %s an hour is spent though the cheapest setting answers (%s)",
                self._budget.per_hour, self._unit, self._settings[0],
            )  # fmt: skip
        self._is_over = self._budget.fill < (0 if self._is_over else -1)

    def _refilled(self) -> Budget:
        self._budget.refill(time.monotonic())
        return self._budget

    def _unit_per_j(self) -> float:
        if self._grid is None:
            return 1.0
        if not isinstance(self._grid, Series):
            return self._grid / J_PER_KWH
        now = time.time()
        if self._is_covered and now >= self._grid.end:
            self._is_covered = False
            log.warning("budget: the file of --grid has ended; its last value holds from now on")
        return self._grid.at(now) / J_PER_KWH

    def gauges(self) -> Gauges:
        """What is left, and which setting answers."""
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "budget_fill": (
                "Share of a minute that is left.",
                lambda: self._refilled().fill,
            ),
            "budget_debt": (
                "Spent too much, J or g CO2e.",
                lambda: self._refilled().debt,
            ),
            "budget_limit": ("J or g CO2e an hour at most.", lambda: self._budget.per_hour),
            "budget_spent": ("J or g CO2e since the start.", lambda: self._spent),
            "budget_refused": ("Samples refused since the start.", lambda: self._refused),
            "budget_setting": ("The setting that answers, 0 the cheapest.", lambda: self._setting),
        }
        if self._grid is not None:
            text = "g CO2e per kWh."
            gauges["grid_intensity"] = text, lambda: self._unit_per_j() * J_PER_KWH
        return gauges

    def state(self) -> dict[str, Any]:
        """The limit, what was spent of it, and the setting that answers."""
        budget = self._refilled()
        return {
            "budget": {
                "limit_per_hour": budget.per_hour, "unit": self._unit,
                "spent": self._spent, "fill": budget.fill, "debt": budget.debt,
                "setting": self._settings[self._setting], "settings": len(self._settings),
                "refused": self._refused,
            }
        }  # fmt: skip
