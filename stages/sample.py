"""Keep a few test samples in git, for what a fresh clone can show."""

from eco.errors import reported
from eco.workflow import params
from eco.workflow.artifacts import SAMPLE, SPLITS

#: Samples; of Fashion-MNIST, with their labels about 90 KB.
N_SAMPLE = 200


def main() -> None:
    """Write the first samples of test, in their order, and their labels."""
    settings = params.load()
    dataset = settings.data.name
    X, y = SPLITS.load(split="test", dataset=dataset)
    SAMPLE.save((X[:N_SAMPLE], y[:N_SAMPLE]), dataset=dataset)
    size = SAMPLE.path().stat().st_size
    print(f"{SAMPLE.path()}: {len(X[:N_SAMPLE])} samples, {size / 1000:.0f} KB")


if __name__ == "__main__":
    with reported():
        main()
