"""Answers over HTTP: the Open Inference Protocol, raw bytes, limits, metrics."""
