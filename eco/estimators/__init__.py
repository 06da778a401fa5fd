"""Cascades and routers as scikit-learn estimators, for models and data of one's own."""

from eco.estimators.cascade import CascadeClassifier
from eco.estimators.onnx import OnnxClassifier
from eco.estimators.routing import RoutingClassifier

__all__ = ["CascadeClassifier", "OnnxClassifier", "RoutingClassifier"]
