"""Find the cascades that no other one beats, on the tuning split."""

import time

from eco.errors import reported
from eco.strategies.baselines import RULES
from eco.strategies.tuning import evaluate, frontier, undominated
from eco.workflow import params
from eco.workflow.artifacts import FRONTIER, TUNING_METRICS, Frontiers
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for, preset_strategies


def main() -> None:
    """Write data/frontier.json: the best cascades, and those that published rules find."""
    settings = params.load()
    outcomes = load_outcomes(settings, "tuning").of(settings.candidates)
    goal = settings.tuning
    start, cpu_start = time.monotonic(), time.process_time()
    points = {
        "accuracy": frontier(outcomes, goal.settings_per_chain, goal.longest_chain),
        "harm": frontier(outcomes.unharmed(), goal.settings_per_chain, goal.longest_chain),
    }
    seconds, cpu_seconds = time.monotonic() - start, time.process_time() - cpu_start
    points |= {name: rule(outcomes) for name, rule in RULES.items()}
    # Rules and presets may lie between the points of the grid; the frontier is never behind them.
    others = [*points["single tolerance"], *points["budgeted search"]]
    others += [
        evaluate(preset, outcomes)
        for preset in preset_strategies(settings).values()
        if set(preset.models) <= set(outcomes.pool)
    ]
    points["accuracy"] = undominated([*points["accuracy"], *others])
    # The pool has to run over these samples first.
    energy_j = settings.energy.watts_per_core * cpu_seconds
    energy_j += len(outcomes) * float(outcomes.energy_j.sum())
    figures = {"seconds": seconds, "cpu_seconds": cpu_seconds, "energy_j": energy_j}
    TUNING_METRICS.save({"tuning": figures | {"samples": len(outcomes)}})
    FRONTIER.save(Frontiers(outcomes.reference_accuracy, points), made_for=made_for(settings))
    for name, undominated_points in points.items():
        print(f"{name:17} {len(undominated_points):4} undominated settings")
    print(f"found in {seconds:.1f} s on {len(outcomes)} samples")


if __name__ == "__main__":
    with reported():
        main()
