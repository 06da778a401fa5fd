"""What Prometheus reads: requests, samples, answers by model, modelled joules."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from eco import __version__
from eco.serving.policy import Gauges

Array = NDArray[Any]

#: Upper ends of the histogram, seconds.
BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Counts, in plain numbers until they are read: counters with locks take longer than a model.

    Parameters
    ----------
    name, description : str
        Of the strategy.
    models : sequence of str
    gauges : mapping
        Further figures, by name.
    """

    def __init__(self, name: str, description: str, models: Sequence[str], gauges: Gauges) -> None:
        self.registry = registry = CollectorRegistry()
        self._models, self._answers, self._joules = models, [0] * len(models), 0.0
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets = defaultdict[str, list[int]](lambda: [0] * (len(BUCKETS) + 1))
        ProcessCollector(registry=registry)
        for gauge, (text, read) in gauges.items():
            Gauge(f"eco_{gauge}", text, registry=registry).set_function(read)
        build = {"version": __version__, "strategy": name, "models": description}
        Info("eco_build", "What is served.", registry=registry).info(build)
        registry.register(self)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Add a request that is over."""
        self._requests[route, status] += 1
        self._seconds[route] += seconds
        self._buckets[route][bisect_left(BUCKETS, seconds)] += 1

    def count_answers(self, answered_by: Array, joules: float) -> None:
        """Add samples: (n,) indices of the models that answered, and J of all together."""
        self._joules += joules
        for position in answered_by.tolist():
            self._answers[position] += 1

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus's client has them."""
        requests = CounterMetricFamily("eco_requests", "Requests.", labels=["route", "status"])
        for (route, status), count in self._requests.items():
            requests.add_metric([route, str(status)], count)
        text = "Seconds from a request's headers to its answer."
        seconds = HistogramMetricFamily("eco_request_seconds", text, labels=["route"])
        ends = [*map(str, BUCKETS), "+Inf"]
        for route, counts in self._buckets.items():
            buckets = list(zip(ends, accumulate(counts), strict=True))
            seconds.add_metric([route], buckets, self._seconds[route])
        answers = CounterMetricFamily("eco_answers", "Samples by model.", labels=["model"])
        for model, count in zip(self._models, self._answers, strict=True):
            answers.add_metric([model], count)
        samples = CounterMetricFamily("eco_samples", "Samples answered.", sum(self._answers))
        joules = CounterMetricFamily("eco_modelled_joules", "J modelled.", self._joules)
        yield from (requests, seconds, samples, answers, joules)
