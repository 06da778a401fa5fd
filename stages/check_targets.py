"""Tune on random samples, again and again, and see whether the others keep the targets."""

from eco.errors import reported
from eco.evaluation.targets import join, kept_targets
from eco.workflow import params
from eco.workflow.artifacts import TARGET_METRICS, TARGET_ROWS
from eco.workflow.outcomes import load_outcomes

#: Random splits; each takes a search of all cascades.
RESPLITS = 100


def main() -> None:
    """Write metrics/targets.json and plots/targets.json: what was asked for, and what was kept."""
    settings = params.load()
    goal = settings.tuning
    names = ("tuning", "certification", "test")
    splits = [load_outcomes(settings, split).of(settings.candidates) for split in names]
    kept = kept_targets(
        join(splits),
        len(splits[0]),
        sorted({0.0, goal.margin_se}),
        goal.settings_per_chain,
        goal.longest_chain,
        RESPLITS,
        settings.seed,
    )
    TARGET_ROWS.save([each.to_row() for each in kept])
    own = [each for each in kept if each.margin_se == goal.margin_se]
    names = {"max_accuracy_loss": "loss", "energy_budget": "budget"}
    figures = {f"{names[k.target]}_{k.limit:g}".replace(".", "_"): k.kept for k in own}
    TARGET_METRICS.save({"targets": {"kept": figures}})
    for each in kept:
        print(
            f"{each.target} {each.limit:g}, margin {each.margin_se:g}: kept in "
            f"{each.kept:.0%} of {RESPLITS} splits, {each.accuracy_loss_points:.2f} points lost at "
            f"{each.energy_share:.4f} of the energy"
        )


if __name__ == "__main__":
    with reported():
        main()
