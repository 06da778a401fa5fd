"""Name, for each sample, the cheapest model that is right."""

import numpy as np

from eco import files, params
from eco.confidence import correct
from eco.errors import reported
from eco.oracle import oracle


def main() -> None:
    """Write data/oracle.npz: the oracle's choice on every split but train."""
    settings = params.load()
    name, pool = settings.data.name, settings.pool
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    choices = {}
    for split in files.PREDICTED:
        right = correct(files.load_predictions(pool, split, name), files.load_labels(split, name))
        choices[split] = oracle(right, energy_j, settings.oracle.none_correct)
        shares = np.bincount(choices[split], minlength=len(pool)) / len(right)
        pairs = zip(pool, shares, strict=True)
        listed = ", ".join(f"{model} {share:.1%}" for model, share in pairs)
        print(f"{split}: {listed}; no model right on {1 - right.any(axis=1).mean():.1%}")
    files.save_choices(files.ORACLE, pool, **choices)


if __name__ == "__main__":
    with reported():
        main()
