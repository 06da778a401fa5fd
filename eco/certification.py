"""Certification: a bound on the harm of a strategy that holds with a stated probability.

Harm is the share of samples on which the largest model is right and the strategy isn't. It is at
least the loss of accuracy, so a bound on harm bounds the loss. Settings are ordered on the tuning
split, from safe to cheap, and tested in that order on samples that took part in nothing else:
Learn then Test (Angelopoulos et al. 2021) with exact binomial p-values, by MAPIE.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def harms(right: Array, reference: Array) -> Array:
    """Where the largest model is right and the strategy isn't.

    Parameters
    ----------
    right : array of shape (..., n_samples), bool
        Whether the strategy answers the true label, one row per setting.
    reference : array of shape (n_samples,), bool
        Whether the largest model does.

    Returns
    -------
    array of the shape of `right`, bool
    """
    return reference & ~right


def certified_up_to(n_harmed: Array, n_samples: int, max_harm: Array, delta: float) -> Array:
    """How many settings of a sequence are certified, for each bound on the harm.

    With probability 1 - `delta` over the draw of the samples, no certified setting of this
    sequence does more harm than the bound. The order of the settings must not come from these
    samples; testing stops at the first setting that fails, so that all of the sequence together
    errs with probability `delta` only.

    Parameters
    ----------
    n_harmed : array of shape (n_settings,), int
        Harmed samples under each setting, from safe to cheap.
    n_samples : int
        Samples of the certification split.
    max_harm : array of shape (n_bounds,)
        Bounds on the harm, shares in (0, 1).
    delta : float
        Probability with which a certificate may be wrong.

    Returns
    -------
    array of shape (n_bounds,), int
        Number of settings, from the start of the sequence, that are certified.
    """
    from mapie.risk_control import control_fwer
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    # A hair less than k / n: MAPIE rounds n x (k / n) up, and that product may lie above k.
    risk = np.maximum(np.asarray(n_harmed) - 1e-6, 0) / n_samples
    p_values = compute_hoeffding_bentkus_p_value(risk, n_samples, max_harm, binary=True)
    # "Split": the order was learnt beforehand, on other samples.
    certified = [control_fwer(p, delta, "split_fixed_sequence") for p in p_values.T]
    return np.array([len(settings) for settings in certified])


def samples_needed(max_harm: float, delta: float) -> int:
    """Samples that a certificate takes at least: so many, none of them harmed.

    Examples
    --------
    >>> samples_needed(0.005, 0.05)
    598
    """
    return int(np.ceil(np.log(delta) / np.log1p(-max_harm)))


def resplit_violations(
    harmed: Array, n_certification: int, max_harm: Array, delta: float, resplits: int, seed: int
) -> Array:
    """How often a certificate proves wrong when the samples are split anew.

    What is true of a setting is its harm on all the samples together; each split certifies from
    a part of them. (On the rest alone a setting looks the worse the better it looked on its part.)

    Parameters
    ----------
    harmed : array of shape (n_settings, n_samples), bool
        Of samples that the settings were not found on, settings from safe to cheap.
    n_certification : int
        Samples that each split certifies on.
    max_harm : array of shape (n_bounds,)
    delta : float
    resplits : int
    seed : int

    Returns
    -------
    array of shape (n_bounds,)
        Share of the splits whose cheapest certified setting harms more than the bound.
    """
    random = np.random.default_rng(seed)
    n_samples = harmed.shape[1]
    truth = harmed.mean(axis=1)
    violations = np.zeros(len(max_harm))
    for _ in range(resplits):
        chosen = random.permutation(n_samples)[:n_certification]
        within = harmed[:, chosen].sum(axis=1)
        last = certified_up_to(within, n_certification, max_harm, delta) - 1
        violations += (last >= 0) & (truth[last] > max_harm)
    rates: Array = violations / resplits
    return rates


def harm_limit(n_harmed: int, n_samples: int, delta: float) -> float:
    """The upper limit of one setting's harm that holds with probability 1 - `delta`.

    Clopper and Pearson (1934); for a single setting that was fixed beforehand.

    Examples
    --------
    >>> round(harm_limit(0, 598, 0.05), 4)
    0.005
    """
    from scipy.stats import beta

    return float(beta.ppf(1 - delta, n_harmed + 1, n_samples - n_harmed)) if n_samples else 1.0
