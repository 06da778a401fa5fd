"""Score the cascade at the chosen thresholds."""

from eco.energy.machine import origin
from eco.errors import reported
from eco.evaluation.cascade import evaluate_cascade
from eco.evaluation.classes import named, vanished_classes
from eco.workflow import artifacts, params
from eco.workflow.costs import load_costs
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import chosen_strategy


def main() -> None:
    """Write metrics/cascading.json, and the rows of the chosen cascade's plots."""
    settings = params.load()
    strategy, outcomes = chosen_strategy(settings), load_outcomes(settings, "test")
    costs, thresholds = load_costs(settings), settings.cascading.thresholds
    if thresholds in ("tuned", "certified"):  # a search of cascades took the whole pool
        extra_j = costs.extra_j()[str(thresholds)]
    else:
        extra_j = costs.training.beyond_last(strategy.models)
    class_names = artifacts.LABELS.load(dataset=settings.data.name).class_names
    evaluation = evaluate_cascade(
        strategy,
        outcomes,
        class_names,
        extra_j,
        artifacts.ENERGY.load().provenance["grid_g_co2e_per_kwh"],
    )
    artifacts.CASCADING_METRICS.save({"cascading": evaluation.metrics})
    artifacts.CASCADING_ROWS.save([evaluation.scored.to_row()])
    artifacts.CONFUSION_ROWS.save(evaluation.confusion_rows)
    artifacts.CLASS_ROWS.save(evaluation.class_rows)
    print(evaluation.scored.describe())
    print(f"energies: readings of {origin(artifacts.ENERGY.load().provenance)}")
    if len(vanished := vanished_classes(strategy, outcomes)):
        missing = named([class_names[label] for label in vanished])
        print(f"WARNING: never answers {missing}, which {settings.pool[-1]} does")


if __name__ == "__main__":
    with reported():
        main()
