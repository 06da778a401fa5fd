import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB

from eco import CascadeClassifier
from eco.energy.protocol import Window
from eco.estimators.energies import CALL_SIZE, by_cpu_time, by_measurement
from tests.energy.fake_meter import FakeMeter

WATTS = 4.0


class Remote(GaussianNB):
    """Waits for another machine."""

    def predict_proba(self, X):
        time.sleep(0.02)
        return super().predict_proba(X)


def work():
    return sum(range(20_000))


@contextmanager
def busy_thread():
    done = threading.Event()

    def run():
        while not done.is_set():
            np.random.default_rng(0).random(200_000).sort()  # without the GIL

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_model_that_waits_is_named():
    X, y = make_classification(200, random_state=0)
    cascade = CascadeClassifier([("light", GaussianNB()), ("remote", Remote())], [0.9, 0.0])
    with pytest.warns(UserWarning, match="a call of remote takes"):
        cascade.fit(X, y)


def test_a_model_that_computes_is_not_named():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert by_cpu_time({"work": work}, WATTS)[0] > 0


@pytest.mark.filterwarnings("ignore:energies='cpu_time'. a call of")
def test_a_busy_thread_is_named_and_not_billed():
    def pause():
        time.sleep(0.01)  # in which the other thread would be billed
        work()

    alone = by_cpu_time({"pause": pause}, WATTS)[0]
    with busy_thread(), pytest.warns(UserWarning, match="other threads of this process are busy"):
        beside = by_cpu_time({"pause": pause}, WATTS)[0]
    assert beside < 4 * alone


def test_the_warning_points_at_the_call_of_fit():
    X, y = make_classification(200, random_state=0)
    cascade = CascadeClassifier([("remote", Remote())], [0.0])
    with pytest.warns(UserWarning, match="remote") as record:
        cascade.fit(X, y)
    assert {warning.filename for warning in record} == {__file__}


class GpuMeter(FakeMeter):
    """A machine whose GPU draws 10 W while nothing runs, on top of that `gpu_j` for each call."""

    def __init__(self, gpu_j):
        super().__init__()
        self.gpu_j = gpu_j

    def window(self, work):
        calls = len(self.order)
        window = super().window(work)
        calls = self.order[calls:].count("on the GPU")
        wall_s = window.wall_s
        return Window(
            window.energy_j, 0.0, 10 * wall_s + calls * self.gpu_j, window.cpu_s, wall_s, 0.0
        )


def measured(meter):
    cpu_j = {"on the CPU": 2e-4, "on the GPU": 1e-4}
    calls = {name: meter.workload(name, CALL_SIZE, j).load() for name, j in cpu_j.items()}
    return by_measurement(calls, WATTS, 0.0, meter)


def test_what_a_gpu_draws_for_a_model_is_counted_and_what_it_draws_idle_is_not():
    measurements, energy_j = measured(GpuMeter(gpu_j=3e-3 * CALL_SIZE))
    assert energy_j == pytest.approx([2e-4, 1e-4 + 3e-3])
    assert measurements.at("on the GPU", CALL_SIZE).energy_j == pytest.approx(1e-4)


def test_without_a_gpu_it_is_the_cpu_that_counts():
    measurements, energy_j = measured(FakeMeter())
    assert energy_j == pytest.approx([2e-4, 1e-4])
    assert len(measurements.rows) == 2


@pytest.mark.slow
def test_a_forest_costs_what_its_trees_cost():
    X, y = make_classification(300, random_state=0)
    models = [(f"of {n}", RandomForestClassifier(n, random_state=0)) for n in (20, 100)]
    small, large = CascadeClassifier(models, [0.9, 0.0]).fit(X, y).energies_
    assert 2 * small < large < 10 * small
