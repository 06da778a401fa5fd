"""Name, for each sample, the cheapest model that is correct."""

import numpy as np

from eco.errors import reported
from eco.strategies.oracle import oracle
from eco.workflow import params
from eco.workflow.artifacts import ORACLE, PREDICTED
from eco.workflow.outcomes import load_outcomes


def main() -> None:
    """Write data/oracle.npz: the oracle's choice on every split but train."""
    settings = params.load()
    pool, choices = settings.pool, {}
    for split in PREDICTED:
        outcomes = load_outcomes(settings, split)
        choices[split] = oracle(outcomes.correct, outcomes.energy_j, settings.oracle.none_correct)
        shares = np.bincount(choices[split], minlength=len(pool)) / len(outcomes)
        text = ", ".join(f"{model} {share:.1%}" for model, share in zip(pool, shares, strict=True))
        none_correct = 1 - outcomes.correct.any(axis=1).mean()
        print(f"{split}: {text}; no model correct on {none_correct:.1%}")
    ORACLE.save(choices, pool=pool)


if __name__ == "__main__":
    with reported():
        main()
