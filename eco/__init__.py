"""EcoInference: choose, for each prediction, the cheapest classifier that is good enough."""
