"""ONNX graphs: the one form that every model and router of the workflow takes.

A model's graph goes from ``X``, samples as `eco.data.kinds` has them, to ``probabilities``, float32
(n, n_classes); a router's gives what `eco.models.routers` says. Such a file runs without the
library that trained it, and loading it executes no code.
"""
