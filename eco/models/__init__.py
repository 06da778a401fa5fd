"""Models of the pool and routers: training, and the ONNX graphs that they become."""
