"""Score the routers: the model that each picked for each image, and what picking cost."""

from functools import partial

from eco.errors import TargetError, reported
from eco.evaluation.routing import chosen_routers, evaluate_routers, routing_metrics
from eco.strategies.certification import NotCertified
from eco.strategies.tuning import for_target
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for


def main() -> None:
    """Write metrics/routing.json, and the routers' rows for the plots."""
    settings = params.load()
    router, goal = settings.router, settings.tuning
    tuning, test = (load_outcomes(settings, split, routers=True) for split in ("tuning", "test"))
    frontiers = artifacts.FRONTIER.load(made_for=made_for(settings))
    select = partial(
        for_target,
        target=goal.target,
        max_accuracy_loss=goal.max_accuracy_loss,
        energy_budget=goal.energy_budget,
        reference_accuracy=frontiers.reference_accuracy,
        reference_j=float(tuning.energy_j[-1]),
        margin_se=goal.margin_se,
    )
    price = None if router.price == "tuned" else router.price
    routers = chosen_routers(tuning, router.probe, price, select)
    results = artifacts.CERTIFIED.load(made_for=made_for(settings))[settings.certification.of]
    certified = {
        kind: point.strategy
        for kind, point in results.items()
        if kind not in ("cascade", "router") and not isinstance(point, NotCertified)
    }
    scored = evaluate_routers(routers, certified, tuning, test, frontiers.points["accuracy"])
    spent = {name: outcome.energy_j for name, outcome in test.routers.items()}
    artifacts.ROUTING_METRICS.save({"routing": routing_metrics(scored), "router_energy_j": spent})
    artifacts.ROUTING_ROWS.save([each.to_row() for each in scored.values()])
    for kind, chosen in routers.items():
        if isinstance(chosen, TargetError):
            print(f"{kind}: {chosen}")
    for each in scored.values():
        print(each.describe())


if __name__ == "__main__":
    with reported():
        main()
