"""Find the cascades that no other one beats, on the tuning split."""

import time

from eco import baselines, files, params, tuning
from eco.confidence import confidence, correct, predictions
from eco.errors import reported


def main() -> None:
    """Write data/frontier.json: the best cascades, and those that published rules find."""
    settings = params.load()
    name, pool, signal = settings.data.name, settings.pool, settings.cascading.confidence
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    probabilities = files.load_predictions(pool, "tuning", name)
    right = correct(probabilities, files.load_labels("tuning", name))
    sure = confidence(probabilities, signal)
    size = settings.tuning.settings_per_chain
    begin, cpu = time.monotonic(), time.process_time()
    # A sample is harmed where the last model is right and the answer isn't: where it is wrong
    # itself nothing can be harmed, so the frontier of harm is that of these.
    unharmed = right | ~right[:, -1:]
    frontiers = {
        "accuracy": tuning.frontier(sure, right, energy_j, size),
        "harm": tuning.frontier(sure, unharmed, energy_j, size),
    }
    took = {"seconds": time.monotonic() - begin, "cpu_seconds": time.process_time() - cpu}
    frontiers |= {
        "single tolerance": baselines.single_tolerance(sure, right, energy_j),
        "budgeted search": baselines.budgeted_search(sure, right, energy_j),
        "agreement voting": baselines.agreement_voting(predictions(probabilities), right, energy_j),
    }
    # Settings that lie between the points of the grid, so that what is found is never behind them.
    chain = settings.cascading
    active = [pool.index(model) for model in chain.active_models]
    given = [t for t in chain.presets.values() if len(t) == len(active)]
    presets = [tuning.scored(active, t, sure, right, energy_j) for t in given]
    others = [*frontiers["single tolerance"], *frontiers["budgeted search"], *presets]
    frontiers["accuracy"] = tuning.undominated([*frontiers["accuracy"], *others])
    # The pool has to run over these images first.
    running_j = len(right) * float(energy_j.sum())
    took["energy_j"] = settings.energy.watts_per_core * took["cpu_seconds"] + running_j
    rows = {rule: [s.row(pool) for s in found] for rule, found in frontiers.items()}
    made_for = files.MadeFor(name, settings.energy.batch_size, signal, pool)
    files.save_frontier(made_for, float(right[:, -1].mean()), rows)
    files.save_metrics("tuning", {"tuning": took | {"samples": len(right)}})
    for rule, found in frontiers.items():
        print(f"{rule:17} {len(found):4} undominated settings")
    print(f"found in {took['seconds']:.1f} s on {len(right)} images")


if __name__ == "__main__":
    with reported():
        main()
