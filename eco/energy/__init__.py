"""Joules per prediction: how they are measured, and what a measurement is."""
