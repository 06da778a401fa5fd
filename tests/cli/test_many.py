import gzip
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eco.workflow import artifacts
from tests.cli.conftest import command, eco, refused
from tests.cli.test_writers import rows_of, skip_without_package
from tests.data.test_streams import idx, npy, npz
from tests.small_workflow import SHAPE

NAMES = [
    *(f"day-{i}.npy" for i in range(6)), "packed.npy.gz", "with-labels.npz", "more-labels.npz",
    "old-idx3-ubyte",
]  # fmt: skip


def write_inputs(n=30):
    """Ten files of all kinds; the labels of those that have some."""
    rng, labels = np.random.default_rng(5), {}
    Path("in").mkdir()
    for name in NAMES:
        X = rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
        if name.endswith(".npz"):
            labels[name] = rng.integers(0, 3, n)
            content = npz(X=X, y=labels[name])
        else:
            content = idx(X) if name.endswith("ubyte") else npy(X)
        Path("in", name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return labels


def answers_of(name, suffix=".csv"):
    return name.split(".")[0] + suffix


def answers_alone(suffix=".csv"):
    """The rows for each input, when it is the only one; by name of the file of answers."""
    for name in NAMES:
        eco("predict", f"in/{name}", "-o", f"alone/{answers_of(name, suffix)}")
    return {path.name: rows_of(path) for path in Path("alone").iterdir()}


def visible(folder):
    return {path.name for path in Path(folder).iterdir() if not path.name.startswith(".")}


def check_answers(folder, expected):
    """Every answer is there, once and whole, and nothing else is."""
    assert visible(folder) == {*expected, "manifest.json"}
    for name, rows in expected.items():
        assert rows_of(Path(folder, name)) == rows, name
    assert not list(Path(folder).rglob("*.part"))


@pytest.mark.parametrize(
    ("suffix", "sources"),
    [
        (".csv", ["in/"]),
        (".npz", ["in/*"]),
        (".parquet", ["in/day-?.npy", "in/*", *(f"./in/{name}" for name in NAMES)]),
    ],
)
def test_many_files_are_answered_as_each_alone(settings, suffix, sources):
    skip_without_package(suffix)
    labels = write_inputs()
    options = ["--format", suffix[1:], "--batch-size", 7]
    result = eco("predict", *sources, "-o", "new/answers/", *options)
    expected = answers_alone(suffix)
    check_answers("new/answers", expected)
    assert "files              10 of 10, 0 from before" in result.stdout
    assert "of the 60 with labels" in result.stdout
    manifest = json.loads(Path("new/answers/manifest.json").read_text())
    assert manifest["failed"] == manifest["answers_of_other_runs"] == []
    assert manifest["energies"]["machine"] == artifacts.ENERGY.load().provenance["machine"]
    assert [Path(entry["input"]).name for entry in manifest["files"]] == sorted(NAMES)
    for entry in manifest["files"]:
        rows, name = expected[entry["answers"]], Path(entry["input"]).name
        assert entry["samples"] == len(rows) == 30
        assert entry["energy_j"] == pytest.approx(sum(row["energy_j"] for row in rows), rel=1e-5)
        for model, share in entry["shares"].items():
            assert share == pytest.approx(np.mean([r["answered_by"] == model for r in rows]), 1e-5)
        if name in labels:
            right = [row["label"] for row in rows] == labels[name]
            assert entry["accuracy"] == pytest.approx(np.mean(right), rel=1e-5)
        else:
            assert entry["accuracy"] is None
    assert manifest["total"]["samples"] == 300
    sums = [entry["energy_j"] for entry in manifest["files"]]
    assert manifest["total"]["energy_j"] == pytest.approx(sum(sums), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_loses_only_what_it_was_writing(settings, workers):
    write_inputs(n=1500)
    arguments = ["predict", "in", "-o", "answers/", "--workers", workers, "--batch-size", 20]
    process = command(*arguments)
    while not list(Path().glob("answers/*.csv")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()  # ends when all processes that it started have ended
    finished = {path: path.stat().st_ino for path in Path("answers").glob("*.csv")}
    # The very last answers may have appeared before the kill came.
    assert finished and process.returncode in (-signal.SIGKILL, 0)
    assert Path("answers/manifest.json").exists() is (process.returncode == 0)
    result = eco("predict", "in", "-o", "answers/")
    assert f"files              10 of 10, {len(finished)} from before" in result.stdout
    assert {path: path.stat().st_ino for path in finished} == finished
    check_answers("answers", answers_alone())
    eco("predict", "in", "-o", "uninterrupted/")
    manifests = [
        Path(folder, "manifest.json").read_bytes() for folder in ("answers", "uninterrupted")
    ]
    assert manifests[0] == manifests[1]


@pytest.mark.slow
def test_a_process_that_is_killed_costs_one_file(settings):
    write_inputs()
    expected = answers_alone()
    # Long enough to be killed in, and the first to begin.
    Path("in/a.npy").write_bytes(npy(np.zeros((400_000, *SHAPE), np.uint8)))
    Path("in/damaged.npy").write_text("an email")
    arguments = ["predict", "in/*", "-o", "answers/", "--workers", 2, "--batch-size", 20]
    process = command(*arguments)
    while not (drafts := list(Path().glob("answers/.a.csv.*.part"))) and process.poll() is None:
        time.sleep(0.01)
    os.kill(int(drafts[0].name.split(".")[-2]), signal.SIGKILL)
    output, errors = process.communicate()
    assert process.returncode == 1
    assert "in/a.npy: its process was ended" in errors and "Traceback" not in errors
    assert "in/damaged.npy: in/damaged.npy is none of .npy" in errors
    assert "files              10 of 12, 0 from before" in output
    manifest = json.loads(Path("answers/manifest.json").read_text())
    assert [entry["input"] for entry in manifest["failed"]] == ["in/a.npy", "in/damaged.npy"]
    Path("in/damaged.npy").unlink()
    Path("in/a.npy").write_bytes(npy(np.zeros((1, *SHAPE), np.uint8)))
    assert "files              11 of 11, 10 from before" in eco(*arguments).stdout
    expected["a.csv"] = rows_of(Path("answers/a.csv"))
    assert len(expected["a.csv"]) == 1
    check_answers("answers", expected)


def test_answers_are_made_again_where_anything_that_they_follow_from_has_changed(settings):
    write_inputs()

    def kept(*options):
        """Files that a further run leaves as they are."""
        stdout = eco("predict", "in", "-o", "answers", *options).stdout
        return int(stdout.split(" from before")[0].rsplit(maxsplit=1)[-1])

    Path("answers").mkdir()
    assert kept() == 0
    assert kept() == 10
    assert kept("--batch-size", 3, "--workers", 4) == 10
    os.utime("in/day-3.npy", ns=(1, 1))
    assert kept() == 9
    Path("answers/day-2.csv").write_text("cut off")
    Path("answers/day-4.csv").unlink()
    Path("answers/.eco-predict/day-5.csv.json").write_text("cut off")
    assert kept() == 7
    assert kept("-s", "mine") == 0
    assert kept("-s", "mine") == 10
    assert kept("-s", "mine", "--format", "jsonl") == 0
    manifest = json.loads(Path("answers/manifest.json").read_text())
    assert manifest["answers_of_other_runs"] == sorted(map(answers_of, NAMES))
    energy = artifacts.ENERGY.load()
    first = energy.rows[0]
    joules = dict.fromkeys(("energy_j", "energy_j_low", "energy_j_high"), first.energy_j * 0.9)
    changed = replace(first, **joules)
    artifacts.ENERGY.save(replace(energy, rows=(changed, *energy.rows[1:])))
    assert kept("-s", "mine") == 0
    model = artifacts.MODEL.path(model=settings.pool[0])
    model.write_bytes(artifacts.MODEL.path(model=settings.pool[1]).read_bytes())
    assert kept("-s", "mine") == 0


def test_an_input_that_is_damaged_is_named_and_the_others_are_answered(settings):
    write_inputs()
    good = Path("in/day-1.npy").read_bytes()
    Path("in/day-1.npy").write_bytes(good[:-1])
    Path("in/small.npy").write_bytes(npy(np.zeros((2, 2, 2), np.uint8)))
    arguments = ["predict", "in", "-o", "answers"]
    Path("answers").mkdir()
    message = refused(*arguments)
    assert "in/day-1.npy: in/day-1.npy is damaged or cut off" in message
    assert "in/small.npy: in/small.npy has images of 2 x 2, which these models don't" in message
    assert "2 of 11 inputs were not answered" in message
    Path("in/day-1.npy").write_bytes(good)
    Path("in/small.npy").unlink()
    assert "files              10 of 10, 9 from before" in eco(*arguments).stdout
    check_answers("answers", answers_alone())


def test_files_of_others_and_of_the_study_are_not_overwritten(settings):
    write_inputs()
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for folder, says in (
        ("in", "in holds what eco predict did not write there: day-0.npy"),
        (".", "params.yaml, plots. Name another folder for the answers"),
        ("data/", "did not write there"),
        ("params.yaml/", "params.yaml can't hold answers: Not a directory"),
        ("params.yaml/more/", "can't hold answers: Not a directory"),
        ("n" * 300 + "/", "can't hold answers: File name too long"),
        ("a/" * 2000, "can't hold answers: File name too long"),
    ):
        assert says in refused("predict", "in", "-o", folder)
    Path("dvc.yaml").write_text("stages: {fetch: {cmd: fetch, outs: [data/made]}}")
    assert "data/made belongs to the study" in refused("predict", "in", "-o", "data/made/")
    assert {path: path.read_bytes() for path in before} == before
    eco("predict", "in/day-1.npy", "-o", "answers/")
    Path("answers/day-2.csv").write_text("mine")
    assert "did not write there: day-2.csv" in refused("predict", "in", "-o", "answers/")
    assert visible("answers") == {"day-1.csv", "day-2.csv", "manifest.json"}
    assert Path("answers/day-2.csv").read_text() == "mine"


def test_inputs_that_can_not_be_told_apart_or_found_are_refused(settings):
    write_inputs()
    Path("other").mkdir()
    for name in ("day-1.npz", "manifest.npy"):
        Path("other", name).write_bytes(npy(np.zeros((1, *SHAPE), np.uint8)))
    Path("empty").mkdir()
    for sources, says in (
        (["in", "other"], "of other/day-1.npz and in/day-1.npy would both be day-1.csv"),
        (["other", "--format", "json"], "of other/manifest.npy and the manifest would both be"),
        (["in/*.txt"], "no file matches in/*.txt in "),
        (["in", "in/*.txt"], "no file matches"),
        (["in/day-1.npy", "in/no.npy"], "in/no.npy does not exist in "),
        (["empty"], "empty holds no file that ends in .npy, .npz"),
        (["in", "-s", "nobody"], "no strategy is called nobody"),
    ):
        assert says in refused("predict", *sources, "-o", "answers/")
        assert not Path("answers").exists()


def test_a_missing_package_is_named(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    message = refused("predict", "test", "-o", "answers/", "--format", "parquet")
    assert "--format parquet needs the package pyarrow, which is not installed" in message
    assert not Path("answers").exists()


def test_splits_of_the_study_go_into_a_folder_as_well(settings):
    eco("predict", "test", "tuning", "-o", "answers/")
    eco("predict", "test", "-o", "alone.csv")
    assert visible("answers") == {"test.csv", "tuning.csv", "manifest.json"}
    assert rows_of(Path("answers/test.csv")) == rows_of(Path("alone.csv"))


def test_a_split_that_a_clone_lacks_is_named_as_it_is_alone(settings):
    Path("data/test.npz").unlink()
    alone = refused("predict", "test")
    assert "data/test.npz is missing. Make it with: dvc repro fetch" in alone
    assert refused("predict", "test", "tuning", "-o", "answers/") == alone
