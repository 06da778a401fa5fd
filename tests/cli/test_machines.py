import numpy as np

from eco.workflow import artifacts
from tests.cli.conftest import eco, refused
from tests.small_workflow import measurements


def save_as(path, settings, joules):
    energy = measurements(settings.pool, joules, settings.energy.batch_size)
    path.write_bytes(artifacts.ENERGY.codec.encode(energy, {}))


def test_without_another_machine_it_says_how_to_have_one(settings):
    text = eco("machines").stdout
    assert "present: another machine" in text
    assert "One machine" in text and "dvc repro -f -s benchmark" in text


def test_rankings_and_what_is_tuned_are_set_side_by_side(settings, tmp_path):
    n = len(settings.pool)
    save_as(tmp_path / "one.json", settings, 1e-6 * np.arange(1.0, n + 1))
    save_as(tmp_path / "two.json", settings, 1e-6 * np.arange(n, 0, -1.0))
    text = eco("machines", "one.json", "two.json").stdout
    first, last = settings.pool[0], settings.pool[-1]
    assert f"one.json: {first}, " in text and f"two.json: {last}, " in text
    assert "the rankings differ" in text
    assert f"share of {last}'s energy" in text and "with one.json" in text
    assert "The strategy tuned with one.json" in text and "on two.json." in text
    same = eco("machines", "one.json", "one.json", "two.json").stdout
    assert same == text


def test_readings_of_another_pool_or_no_readings_are_named(settings, tmp_path):
    energy = measurements(["other"], [1.0], settings.energy.batch_size)
    (tmp_path / "other.json").write_bytes(artifacts.ENERGY.codec.encode(energy, {}))
    assert "must be of this pool" in refused("machines", "other.json")
    (tmp_path / "none.json").write_text("{}")
    assert "none.json is not valid" in refused("machines", "none.json")
    assert "no.json can't be read" in refused("machines", "no.json")


def test_committed_readings_of_a_former_pool_are_left_out(settings, tmp_path, run_in):
    path, ours = artifacts.ENERGY.path(), artifacts.ENERGY.load()
    artifacts.ENERGY.save(measurements(["other"], [1.0], settings.energy.batch_size))
    run = run_in(tmp_path)
    run("git", "init", "-q")
    run("git", "add", str(path))
    run("git", "commit", "-qm", "former")
    artifacts.ENERGY.save(ours)
    text = eco("machines").stdout
    assert "committed: left out, of another pool" in text and "present: another" in text
