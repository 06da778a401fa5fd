"""Train the routers, and let them choose, or score the models, for every held-out sample."""

import time

from eco.errors import reported
from eco.models import routers
from eco.runtime.session import Session
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_router_inputs


def main() -> None:
    """Write three routers, their choices and scores, and how well the first meets the oracle."""
    settings = params.load()
    pool, outputs, seconds = settings.pool, {}, {}
    X, probe, oracle, correct = load_router_inputs(settings)
    for router in artifacts.ROUTERS:
        inputs = probe if router == "probe_router" else X
        print(f"fitting the {router.replace('_', ' ')}")
        start = time.process_time()
        graph = routers.fit(router, inputs, oracle, correct, settings.router, settings.seed)
        seconds[router] = time.process_time() - start
        artifacts.ROUTER_MODEL.save(graph, router=router)
        session = Session(artifacts.ROUTER_MODEL.path(router=router), settings.energy.threads)
        outputs[router] = {
            split: session.in_batches(inputs[split]) for split in artifacts.PREDICTED
        }
    artifacts.ROUTER_CHOICES.save(outputs["router"], pool=pool)
    for router in artifacts.ROUTERS[1:]:
        # Three decimals, and no samples that it was trained on, keep the file small enough for git.
        scores = {split: outputs[router][split].round(3) for split in artifacts.PREDICTED[1:]}
        artifacts.ROUTER_SCORES.save(scores, router=router, pool=pool)
    accuracy = routers.held_out_accuracy(outputs["router"]["test"], oracle["test"])
    artifacts.ROUTER_METRICS.save({"router": accuracy | {"cpu_seconds": seconds}})
    print(
        f"on test it names the oracle's model for {accuracy['accuracy']:.1%} of the samples "
        f"(always naming the most frequent one: {accuracy['majority_share']:.1%})"
    )


if __name__ == "__main__":
    with reported():
        main()
