"""Tests of eco.workflow."""
