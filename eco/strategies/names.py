"""What strategies are called: every name is made here, and what no preset may be called."""

import re
from collections.abc import Collection

from eco.strategies.routing import KINDS

CHOSEN, TUNED, CERTIFIED = "chosen", "tuned", "certified"
#: The cascade whose loss or harm is certified, where the settings choose the other of the two.
OTHER_CERTIFIED = {"loss": "certified_loss", "harm": "certified_harm"}


def strategy_name(family: str, subject: str = "") -> str:
    """The name of a strategy of a family: a model, a preset, a kind of router, a rule, ...

    Examples
    --------
    >>> strategy_name("model", "large")
    'always large'
    >>> strategy_name("tuned", "lose 0.5")
    'tuned to lose 0.5'
    >>> strategy_name("certified", "price_router")
    'price_router, certified'
    """
    match family:
        case "as trained":
            return f"{subject}, as trained"
        case "model":
            return f"always {subject}"
        case "oracle":
            return f"oracle: {subject}"
        case "preset" | "router":
            return subject
        case "certified" if subject not in ("", "cascade"):
            return f"{subject}, certified"
        case "certified":
            return CERTIFIED
        case _:
            return f"{family} to {subject}" if subject else family


def as_key(name: str) -> str:
    """A name as a key of metrics.

    >>> as_key("price_router, certified")
    'price_router_certified'
    """
    return re.sub(r", |[ .]", "_", name)


def is_taken(preset: str, pool: Collection[str]) -> bool:
    """Whether another strategy has the name of a preset, or its key in metrics."""
    families = {
        CHOSEN,
        TUNED,
        CERTIFIED,
        *OTHER_CERTIFIED.values(),
        "oracle",
        "always_last",
        *KINDS,
    }
    always = {strategy_name("model", model) for model in pool}
    always |= {strategy_name("as trained", name) for name in always}
    certified = {strategy_name("certified", kind) for kind in KINDS}
    taken = {as_key(name) for name in families | always | certified}
    return as_key(preset) in taken or as_key(preset).startswith(as_key("tuned to "))
