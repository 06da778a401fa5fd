"""Train the router on the oracle's labels, and let it choose for every test image."""

import time

from eco import files, params, router
from eco.errors import reported
from eco.inference import Session


def main() -> None:
    """Write the router's ONNX graph, its choices on test, and how well they meet the oracle's."""
    settings = params.load()
    name, pool = settings.data.name, settings.pool
    X, _ = files.load_images("validation", name)
    labels = files.load_choices(files.ORACLE, "validation", pool, len(X), "label_oracle")
    print(f"fitting the router on {len(X)} validation images")
    cpu = time.process_time()
    graph = router.train(X, labels, **settings.router.model_dump(), seed=settings.seed)
    cpu_s = time.process_time() - cpu
    with files.replacing(files.ROUTER) as stream:
        stream.write(graph.SerializeToString())
    X_test, _ = files.load_images("test", name)
    choices = Session(files.ROUTER, settings.energy.threads).in_batches(X_test)
    files.save_choices(files.ROUTED, pool, test=choices)
    labels = files.load_choices(files.ORACLE, "test", pool, len(X_test), "label_oracle")
    scores = router.held_out_accuracy(choices, labels)
    files.save_metrics("router", {"router": scores | {"cpu_seconds": cpu_s}})
    print(
        f"on test it names the oracle's model for {scores['accuracy']:.1%} of the images "
        f"(always naming the most frequent one: {scores['majority_share']:.1%})"
    )


if __name__ == "__main__":
    with reported():
        main()
