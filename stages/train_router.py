"""Train the routers, and let them choose, or score the models, for every image held out."""

import time

import numpy as np

from eco import files, params, router
from eco.confidence import correct
from eco.errors import reported
from eco.inference import Session

LEARNT_ON = ("calibration", "tuning")


def main() -> None:
    """Write three routers, their choices and scores, and how well the first meets the oracle."""
    settings = params.load()
    name, pool, config, seed = settings.data.name, settings.pool, settings.router, settings.seed
    images = {split: files.load_images(split, name)[0] for split in files.PREDICTED}
    answers = {
        split: files.load_predictions([config.probe], split, name)[:, 0]
        for split in files.PREDICTED
    }
    labels = {
        split: files.load_choices(files.ORACLE, split, pool, len(X), "label_oracle")
        for split, X in images.items()
    }
    right = correct(
        files.load_predictions(pool, "calibration", name), files.load_labels("calibration", name)
    )
    X, oracle = (np.concatenate([part[s] for s in LEARNT_ON]) for part in (images, labels))
    trained, seconds = {}, {}
    for kind in files.ROUTERS:
        cpu = time.process_time()
        if kind == "router":
            print(f"fitting the router to the oracle on {len(X)} images")
            learnt = {"C": config.C, "class_weight": config.class_weight}
            graph = router.train(X, oracle, max_iter=config.max_iter, seed=seed, **learnt)
        else:
            given = (images if kind == "price_router" else answers)["calibration"]
            print(f"fitting the {kind.replace('_', ' ')} to what is right on {len(given)} images")
            learnt = {"pixels": config.pixels, "hidden_units": config.hidden_units}
            graph = router.train_scores(given, right, seed=seed, **learnt)
        seconds[kind] = time.process_time() - cpu
        with files.replacing(files.router_path(kind)) as stream:
            stream.write(graph.SerializeToString())
        session = Session(files.router_path(kind), settings.energy.threads)
        trained[kind] = {
            split: session.in_batches((answers if kind == "probe_router" else images)[split])
            for split in files.PREDICTED
        }
    files.save_choices(files.ROUTED, pool, **trained["router"])
    for kind in files.ROUTERS[1:]:
        # Three decimals, on images that it did not learn on, keep the file small enough for git.
        scores = {s: p.round(3) for s, p in trained[kind].items() if s != "calibration"}
        files.save_scores(kind, pool, **scores)
    scores = router.held_out_accuracy(trained["router"]["test"], labels["test"])
    files.save_metrics("router", {"router": scores | {"cpu_seconds": seconds}})
    print(
        f"on test it names the oracle's model for {scores['accuracy']:.1%} of the images "
        f"(always naming the most frequent one: {scores['majority_share']:.1%})"
    )


if __name__ == "__main__":
    with reported():
        main()
