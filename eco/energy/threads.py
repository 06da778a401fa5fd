"""Limits on the threads of TensorFlow and of linear algebra."""

import os

from eco.errors import MeasurementError, extra


def limit_threads(threads: int) -> None:
    """Limit TensorFlow and linear algebra; a MeasurementError if TensorFlow has begun with more."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import sklearn.utils.extmath  # noqa: F401  what is loaded later would not be limited
    from threadpoolctl import threadpool_limits

    with extra("train"):
        import tensorflow as tf

    threadpool_limits(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        raise MeasurementError(
            f"TensorFlow must be limited to {threads} threads before it computes anything",
            "Measure in a process of its own, as a stage does.",
        ) from None
