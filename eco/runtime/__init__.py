"""Strategies executed: models are loaded, and run on the samples that still need an answer."""
