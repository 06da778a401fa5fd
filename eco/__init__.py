"""Choose, for each prediction, the cheapest classifier that is good enough.

`CascadeClassifier` and `RoutingClassifier` take classifiers, `OnnxClassifier` is one; `tune`
and `certify` take predictions. All are imported when first used, so that a command of the study
doesn't load scikit-learn.
"""

import os
from typing import TYPE_CHECKING, Any

# Else ONNX Runtime's wheels send reports of their use, from a thread of their own.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from eco.estimators import CascadeClassifier, OnnxClassifier, RoutingClassifier
    from eco.predictions.search import certify, tune

__all__ = [
    "CascadeClassifier", "OnnxClassifier", "RoutingClassifier", "__version__", "certify", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ecoinference")
    if name in ("certify", "tune"):
        from eco.predictions import search

        return getattr(search, name)
    if name in __all__:
        from eco import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
