"""Tools for whoever works on this project: timings, and how repeatable a measurement is."""
