"""An exact meter: it bills each call its known joules."""

import numpy as np

from eco.energy.protocol import Window, Workload

WATTS = 4.0
CALLS = 10


class FakeMeter:
    """Bills each call of a workload its known joules, with a noise of known size."""

    watts_per_core = WATTS

    def __init__(self, noise=0.0, wrong=lambda n: 1.0, seed=0, neighbours=0.1):
        self.spent_j = 0.0
        self.windows = 0
        self.order = []
        self.noise, self.wrong, self.neighbours = noise, wrong, neighbours
        self.random = np.random.default_rng(seed)

    def workload(self, name, batch_size, joules_per_sample, format_name=None):
        def call():
            self.spent_j += joules_per_sample * batch_size
            self.order.append(name)

        return Workload(name, batch_size, lambda: call, format_name)

    def calls_per_window(self, call, window_s):
        return CALLS

    def window(self, work):
        before = self.spent_j
        self.order.append("|")
        work()
        self.order.append(";")
        self.windows += 1
        true_j = (self.spent_j - before) * (1 + self.noise * self.random.standard_normal())
        return Window(
            true_j * self.wrong(self.windows), 0.0, 0.0, true_j / WATTS, 0.5, self.neighbours
        )

    def provenance(self):
        return {"mode": "fake", "grid_g_co2e_per_kwh": 50.0}
