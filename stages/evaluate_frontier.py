"""Score what was found beforehand: presets, tuned and certified cascades, published rules."""

from functools import partial

from eco.errors import TargetError, reported
from eco.evaluation.frontier import evaluate_frontier
from eco.workflow import artifacts, params, selection
from eco.workflow.outcomes import load_outcomes


def main() -> None:
    """Write metrics/frontier.json, and the rows of the plots that need no chosen thresholds."""
    settings = params.load()
    presets, found = selection.preset_strategies(settings), {}
    for name in settings.cascading.presets:
        if name not in presets:
            print(f"{name}: left out, its thresholds are for another number of models")
    other, of = selection.other_certified(settings)
    selections = {"tuned": selection.tuned_strategy, "certified": selection.certified_strategy}
    selections[other] = partial(selection.certified_strategy, of=of)
    for name, select in selections.items():
        try:
            found[name] = select(settings)
        except TargetError as error:
            print(f"{name}: {error}")
    frontiers = artifacts.FRONTIER.load(made_for=selection.made_for(settings))
    evaluation = evaluate_frontier(
        load_outcomes(settings, "test"),
        frontiers.points,
        frontiers.reference_accuracy,
        settings.tuning.margin_se,
        presets,
        found,
        settings.cascading.active_models,
        artifacts.LABELS.load(dataset=settings.data.name).class_names,
    )
    artifacts.FRONTIER_METRICS.save({"frontier": evaluation.metrics})
    artifacts.STRATEGY_ROWS.save([each.to_row() for each in evaluation.strategies])
    artifacts.CURVE_ROWS.save(evaluation.curve_rows)
    for each in evaluation.strategies:
        print(each.describe())


if __name__ == "__main__":
    with reported():
        main()
