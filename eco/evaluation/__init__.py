"""Scores, intervals, calibration and footprint of strategies: pure functions of arrays."""
