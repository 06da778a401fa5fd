"""`eco init`: what a new folder holds, and that DVC runs it."""

import os
import subprocess
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml

from eco.data.files import Reading
from eco.workflow import new_study, params
from tests.cli.conftest import eco, refused
from tests.conftest import REPOSITORY

POOL = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["pool"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which the test runs, with images of one's own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    np.savez("my letters.npz", X=rng.integers(0, 256, (len(y), 6, 5)).astype(np.uint8), y=y)
    return tmp_path


def said_by(*command, cwd):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_dvc_runs_a_new_study(folder):
    said = eco("init", "mine", "--data", "my letters.npz", "--models", "tiny,medium").stdout
    assert "my-letters: 3 classes; images: 180 train" in said
    assert "next: cd mine && dvc repro" in said
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "my letters.npz"]
    study = folder / "mine"
    stages = said_by("dvc", "stage", "list", "--name-only", cwd=study).split()
    assert {"fetch", "train@tiny", "train@medium", "benchmark", "tune", "report"} <= set(stages)
    assert not {"train@extra", "compare_formats"} & set(stages)
    said_by("dvc", "repro", "train@tiny", cwd=study)
    assert (study / "models/trained/tiny.onnx").exists()
    said_by("git", "check-ignore", "data/train.npz", "models/trained/tiny.onnx", cwd=study)
    paths = said_by("git", "ls-files", "--others", "--exclude-standard", cwd=study).split()
    assert {"dvc.yaml", "params.yaml", "README.md", "stages/fetch.py"} <= set(paths)


def test_inside_a_repository_the_study_is_a_part_of_it(folder):
    said_by("git", "init", cwd=folder)
    eco("init", "mine", "--data", "digits", "--models", "tiny,medium")
    assert not (folder / "mine/.git").exists()
    assert said_by("git", "diff", "--cached", "--name-only", cwd=folder) == ""
    assert "fetch" in said_by("dvc", "stage", "list", cwd=folder / "mine")
    eco("init", "mine/inner", "--data", "digits", "--models", "tiny,medium")
    assert "fetch" in said_by("dvc", "stage", "list", cwd=folder / "mine/inner")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("digits.npz", "my-digits"),
        ("fashion-mnist.npz", "my-fashion-mnist"),
        ("Größe 2 (Neu).npz", "groe-2-neu"),
        (f"{'n' * 100}.npz", "n" * 40),
        ("手.npz", "data"),
    ],
)
def test_data_of_ones_own_get_a_name_of_their_own(folder, file, name):
    (folder / "my letters.npz").rename(folder / file)
    assert eco("init", "mine", "--data", file, "--models", "tiny,medium").stdout.startswith(name)
    data = params.load(folder / "mine/params.yaml").data
    assert (data.name, data.path) == (name, f"../{file}")


def test_a_path_holds_from_where_the_study_is(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "deep/er").mkdir(parents=True)
    (folder / "link").symlink_to("deep/er")
    eco("init", "link/mine", "--data", "~/my letters.npz", "--models", "tiny,medium")
    monkeypatch.chdir(folder / "deep/er/mine")
    assert (folder / "deep/er/mine" / params.load().data.path).is_file()
    message = refused("show")
    assert "The study was not run yet: dvc repro" in message


def test_any_part_of_the_pool_makes_valid_settings(folder):
    pools = [pool for size in (2, 3, len(POOL)) for pool in combinations(POOL, size)]
    for pool in pools:
        values = new_study.settings(folder / "mine", "digits", ",".join(pool))
        (folder / "params.yaml").write_text(yaml.safe_dump(values))
        assert params.load(folder / "params.yaml").pool == list(pool)


class TestTablesAndTexts:
    @pytest.fixture(autouse=True)
    def files(self, folder):
        y = np.array(["stay", "leave"])[np.arange(400) % 2]
        table = pd.DataFrame({"age": np.arange(400) / 8, "churned": y, "note": "a good day"})
        table.to_csv("people.csv.gz", index=False)
        table.to_parquet("people.parquet")
        np.savez("notes.npz", X=np.char.add(y, " a day"), y=y)

    @pytest.mark.parametrize(
        ("arguments", "kind", "n_models"),
        [
            (("people.csv.gz", "--target", "churned"), "table", 5),
            (("people.parquet", "--target", "churned", "--models", "tiny,small"), "table", 2),
            (("people.csv.gz", "--target", "churned", "--text", "note"), "text", 4),
            (("notes.npz", "--kind", "text", "--models", "small,large"), "text", 2),
        ],
    )
    def test_a_study_of_them(self, folder, arguments, kind, n_models):
        said = eco("init", "mine", "--data", *arguments).stdout
        assert {"table": "2 classes; rows:", "text": "2 classes; texts:"}[kind] in said
        settings = params.load(folder / "mine/params.yaml")
        assert settings.data.kind == kind
        assert settings.data.target == ("churned" if "--target" in arguments else "target")
        assert settings.data.text == ("note" if "note" in arguments else "text")
        assert len(settings.pool) == len(settings.models) == n_models

    def test_how_it_is_split(self, folder):
        people = pd.DataFrame({"age": np.arange(400) / 8, "target": np.arange(400) % 2})
        people.assign(person=np.arange(400) // 4, day=np.arange(400)).to_csv("all.csv", index=False)
        shares = ("--shares", "0.1", "0.2", "0.3")
        said = eco("init", "mine", "--data", "all.csv", "--time", "day", *shares).stdout
        assert "120 train, 30 calibration, 60 tuning, 90 certification, 100 test" in said
        data = params.load(folder / "mine/params.yaml").data
        assert data.shares.model_dump() == {"calibration": 0.1, "tuning": 0.2, "certification": 0.3}
        assert (data.groups, data.time) == ("", "day")
        eco("init", "other", "--data", "all.csv", "--groups", "person")
        assert params.load(folder / "other/params.yaml").data.groups == "person"

    @pytest.mark.parametrize("kind", ["table", "text"])
    def test_any_part_of_the_pool_makes_valid_settings(self, folder, kind):
        reading = Reading(kind)
        pool = new_study.settings(folder / "mine", "own.csv", None, reading)["pool"]
        for size in range(2, len(pool) + 1):
            for part in combinations(pool, size):
                values = new_study.settings(folder / "mine", "own.csv", ",".join(part), reading)
                (folder / "params.yaml").write_text(yaml.safe_dump(values))
                assert params.load(folder / "params.yaml").pool == list(part)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("people.csv.gz",), "--data: people.csv.gz must have the column target (--target)"),
            (("people.parquet", "--text", "x"), "must have the column target (--target)"),
            (("people.parquet", "--kind", "images"), "where --kind is images"),
            (("people.parquet", "--kind", "table", "--text", "note"), "--text must be left out"),
            (("notes.npz", "--target", "y"), "--target must be left out where --kind is images"),
            (
                ("people.parquet", "--target", "churned", "--groups", "agee"),
                "Did you mean age? Name",
            ),
            (
                ("people.csv.gz", "--target", "age", "--time", "age"),
                "--target and --time must name two",
            ),
            (("people.parquet", "--groups", "age", "--time", "age"), "must not both be given"),
            (("notes.npz", "--kind", "text", "--groups", "y"), "--groups names a column of .csv"),
            (("notes.npz", "--kind", "text", "--target", "y"), "--target names a column of .csv"),
            (("notes.npz", "--time", "y"), "--time must be left out where --kind is images"),
            (
                ("people.csv.gz", "--target", "churned", "--shares", "0.4", "0.3", "0.3"),
                "--shares must leave at least a tenth of the samples to train on; got 0.4 + 0.3",
            ),
            (
                ("people.csv.gz", "--target", "churned", "--shares", "0.01", "0.001", "0.3"),
                "--shares must leave samples of every class in each split",
            ),
            (("people.parquet", "--target", ""), "--target must name a column; got nothing"),
            (("digits", "--kind", "table"), "--kind must be images, as digits are; got table"),
            (("nope.csv",), "--data: nope.csv does not exist"),
            (("people.csv.gz", "--target", "churned", "--models", "slim"), "tiny, small, medium"),
        ],
    )
    def test_bad_options_are_named_and_leave_nothing(self, folder, arguments, message):
        assert message in refused("init", "mine", "--data", *arguments)
        assert not (folder / "mine").exists()


def test_bad_input_is_named_and_leaves_nothing(folder):
    for models in ("tiny", "tiny,tiny", "tiny,nope", ""):
        message = refused("init", "mine", "--data", "digits", "--models", models)
        assert f"--models must name two models or more of {', '.join(POOL)}" in message
        assert f"got {models}" in message
    assert "--data: nope.npz does not exist" in refused("init", "mine", "--data", "nope.npz")
    assert "--data must name a file" in refused("init", "mine", "--data", "")
    assert "could not be written" in refused("init", "n" * 300, "--data", "digits")
    assert not (folder / "mine").exists()
    (folder / "full").mkdir()
    (folder / "full/thesis.tex").touch()
    for name in ("full", "my letters.npz"):
        message = refused("init", name, "--data", "digits")
        assert f"{name} must be a new or an empty folder" in message
    assert (folder / "full/thesis.tex").exists()
