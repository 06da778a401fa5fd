"""Predictions that somebody has already: reading, checking and dividing them; tuned and certified.

Nothing here knows how they were made. A pool of models is what it said of each sample, and what
each model costs, in any one unit.
"""
