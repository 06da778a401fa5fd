"""Realised energies beside modelled ones, of strategies whose joules are known."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from eco.energy import metering, original
from eco.energy.measurement import Measurement, Measurements
from eco.errors import MeasurementError
from eco.runtime.engine import Answers
from eco.strategies.strategy import Strategy, always

SETTINGS = SimpleNamespace(batch_size=32, batch_sizes=[1, 32, 256, 10_000])
STRATEGIES = {
    "always heavy": always("heavy"),
    "tuned to lose 0.5": Strategy("cascade", ("light", "heavy"), (0.9, 0.0)),
    "router, certified": Strategy("price_router", ("light", "heavy"), price=0.1),
}
Y = np.array([0, 1, 1, 0])


def measurements(joules, sizes=(1, 32, 256, 10_000)):
    """Of each name its joules, a tenth of them at 256 samples a call."""
    rows = [
        Measurement(name, size, j / scale, j / scale, j / scale, (j / scale,) * 3, wall_s=0.5)
        for name, j in joules.items()
        for size in sizes
        for scale in [10 if size == 256 else 1]
    ]
    return Measurements({"drift": 0.0}, tuple(rows))


def answers(labels, ran):
    p = np.eye(2)[labels]
    return Answers(p, np.zeros(4, int), p.max(axis=1), np.array(ran, bool))


ANSWERS = {
    "always heavy": answers([0, 1, 1, 0], [[1]] * 4),
    "tuned to lose 0.5": answers([0, 1, 1, 1], [[1, 0], [1, 0], [1, 0], [1, 1]]),
    "router, certified": answers([0, 0, 0, 1], [[1, 0], [1, 0], [0, 1], [0, 1]]),
}


@pytest.fixture
def energies():
    models = metering.energies_in_calls(
        measurements({"light": 1.0, "heavy": 8.0}), ["light", "heavy"], SETTINGS
    )
    routers = metering.energies_in_calls(
        measurements({"price_router": 0.5}), ["price_router"], SETTINGS
    )
    return models | routers


@pytest.fixture
def rows(energies):
    metered = measurements(
        {
            "always heavy": 8.0,
            "tuned to lose 0.5": 3.0,
            "router, certified": 6.0,
            "always heavy, as trained": 16.0,
        },
        sizes=(1, 32, 10_000),
    )
    return metering.compare_with_model(metered, STRATEGIES, ANSWERS, Y, energies)


def test_strategies_are_metered_one_by_one_in_the_study_s_batches_and_in_the_largest():
    assert metering.metered_sizes(SETTINGS) == [1, 32, 10_000]
    small = SimpleNamespace(batch_size=32, batch_sizes=[32, 64])
    assert metering.metered_sizes(small) == [32, 64]


def test_the_energy_of_a_large_batch_is_that_of_the_calls_that_the_engine_makes(energies):
    assert [energies["heavy", size] for size in (1, 32, 10_000)] == pytest.approx([8, 8, 0.8])
    large = SimpleNamespace(batch_size=32, batch_sizes=[32, 10_000])
    unsplit = metering.energies_in_calls(measurements({"heavy": 8.0}), ["heavy"], large)
    assert unsplit["heavy", 10_000] == 8.0
    with pytest.raises(MeasurementError, match="has no energy of light"):
        metering.energies_in_calls(measurements({"heavy": 8.0}), ["light"], large)


def test_realised_and_modelled_energies_stand_side_by_side(rows):
    row = next(r for r in rows if (r["name"], r["batch_size"]) == ("tuned to lose 0.5", 32))
    assert row["energy_share"] == pytest.approx(3 / 8)
    assert row["share_of_trained"] == pytest.approx(3 / 16)
    assert row["modelled_share"] == pytest.approx((1 + 8 / 4) / 8)
    assert row["realised_over_modelled"] == pytest.approx(1)
    assert row["samples_per_j"] == pytest.approx(1 / 3)
    assert row["accuracy"] == 0.75
    assert row["models"] == ["light", "heavy"]
    assert row["thresholds"] == [0.9, 0.0]
    routed = next(r for r in rows if (r["name"], r["batch_size"]) == ("router, certified", 1))
    assert routed["modelled_share"] == pytest.approx((0.5 + 4.5) / 8), "the router included"
    trained = [r for r in rows if r["name"] == "always heavy, as trained"]
    assert [r["energy_share"] for r in trained] == [2.0, 2.0, 2.0]
    assert "modelled_share" not in trained[0]


def test_a_pool_whose_last_model_is_not_quantized_has_no_shares_of_it_as_trained(energies):
    metered = measurements({"always heavy": 8.0}, sizes=(1, 32))
    strategies = {"always heavy": STRATEGIES["always heavy"]}
    rows = metering.compare_with_model(metered, strategies, ANSWERS, Y, energies)
    assert not any("share_of_trained" in row for row in rows)
    assert [row["realised_over_modelled"] for row in rows] == [1.0, 1.0]


def test_the_summary_keeps_one_batch_size_under_keys_without_spaces(rows):
    summary = metering.summarise(rows, 32)
    assert list(summary) == [
        "always_heavy", "tuned_to_lose_0_5", "router_certified", "always_heavy_as_trained",
    ]  # fmt: skip
    assert summary["always_heavy"]["energy_share"] == 1.0
    assert summary["always_heavy"]["samples_per_j"] == pytest.approx(1 / 8)
    assert summary["tuned_to_lose_0_5"]["accuracy"] == 0.75
    assert "models" not in summary["tuned_to_lose_0_5"]


def test_latencies_are_percentiles_of_single_answers():
    sizes = []
    latencies = metering.latencies_ms(lambda: lambda X: sizes.append(len(X)), np.zeros((30, 2)))
    assert list(latencies) == ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"]
    assert 0 < latencies["latency_p50_ms"] <= latencies["latency_p95_ms"]
    assert set(sizes) == {1}


def test_what_strategies_are_compared_with_is_metered_in_the_same_rounds_at_one_size(monkeypatch):
    measured = []
    monkeypatch.setattr(metering, "run_protocol", lambda workloads, _: measured.extend(workloads))
    X = np.zeros((64, 2))
    metering.meter_strategies(
        {"always heavy": lambda: len}, X, SETTINGS, {"another path": lambda: len}
    )
    sizes = [(each.name, each.batch_size) for each in measured]
    assert sizes == [
        ("always heavy", 1), ("always heavy", 32), ("always heavy", 10_000), ("another path", 32),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("X", "takes"),
    [
        (np.zeros((2, 8, 9), np.uint8), True),
        (np.zeros((2, 9, 8, 3), np.uint8), True),
        (np.zeros((2, 7, 9), np.uint8), False),  # nothing would be left of 7 pixels
        (np.zeros((2, 9), np.float32), False),
        (np.zeros((2, 9), np.int32), False),
    ],
)
def test_the_original_s_network_takes_images_alone(X, takes):
    assert original.takes(X) is takes


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 8), (8, 9, 3)])
def test_the_original_s_network_takes_images_one_by_one(shape):
    """In a process of its own: TensorFlow's threads are limited before it computes anything."""
    code = (
        "import numpy as np; from eco.energy import original\n"
        f"X = np.random.default_rng(0).integers(0, 256, (3, *{shape}), dtype=np.uint8)\n"
        f"p = original.load({shape}, 5, 1)(X)\n"
        "assert p.shape == (3, 5) and np.allclose(p.sum(axis=1), 1), p\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
