import subprocess
from pathlib import Path

import pytest

from eco.errors import FileError
from eco.workflow.owners import owner
from tests.conftest import REPOSITORY

PIPELINE = """
stages:
  fetch:
    cmd: fetch
    outs:
    - data/labels.npz: {cache: false, persist: true}
  train:
    foreach: [a, b]
    do:
      cmd: train ${item}
      deps: [data/predictions, "models/${item.kind}.csv"]
      metrics: ["metrics/training/${item}.json"]
plots:
- plots/curves.json
- Curves: {x: epoch}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    for folder in ("data/predictions", "metrics/training", ".dvc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/labels.npz").touch()
    (tmp_path / "[a]*.csv").touch()
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "--literal-pathspecs", "add", "[a]*.csv", "dvc.yaml"], check=True)
    (tmp_path / "link.csv").symlink_to("data/labels.npz")
    (tmp_path / "folder").symlink_to("data")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/labels.npz", "dvc.yaml"),
        ("data/predictions/answers.csv", "dvc.yaml"),
        ("metrics/training/a.json", "dvc.yaml"),
        ("models/cnn.csv", "dvc.yaml"),
        ("plots/curves.json", "dvc.yaml"),
        ("link.csv", "dvc.yaml"),
        ("folder/labels.npz", "dvc.yaml"),
        ("folder/../data/predictions/../labels.npz", "dvc.yaml"),
        ("[a]*.csv", "git"),
        ("dvc.yaml", "git"),
        (".git/answers.csv", ".git"),
        (".dvc/tmp/answers.csv", ".dvc"),
        ("data/answers.csv", None),
        ("a.csv", None),
        ("metrics/answers.json", None),
        ("../answers.csv", None),
    ],
)
def test_files_of_the_pipeline_and_of_git_have_an_owner(study, path, expected):
    assert owner(Path(path)) == expected
    assert owner(study / path) == expected


def test_a_file_of_git_that_was_deleted_is_still_owned(study):
    (study / "[a]*.csv").unlink()
    assert owner(study / "[a]*.csv") == "git"


def test_without_git_or_a_pipeline_nothing_is_owned_by_them(study, monkeypatch):
    (study / "dvc.yaml").unlink()
    assert owner(study / "data/labels.npz") is None
    monkeypatch.setenv("PATH", "")
    assert owner(study / "[a]*.csv") is None


@pytest.mark.parametrize("content", ["stages: 3", "- a", "stages: {a: [", "stages: {a: 1}", "\0"])
def test_a_pipeline_that_can_not_be_read_is_named(study, content):
    (study / "dvc.yaml").write_text(content)
    with pytest.raises(FileError, match=r"dvc\.yaml is not a pipeline.*git checkout"):
        owner(study / "a.csv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/train.npz", "dvc.yaml"),
        ("models/trained/any.onnx", "dvc.yaml"),
        ("metrics/models.json", "dvc.yaml"),
        ("plots/training/any.json", "dvc.yaml"),
        ("eco/report/templates/style.json", "dvc.yaml"),
        (".dvc/plots/pareto.json", ".dvc"),
        ("answers.csv", None),
    ],
)
def test_this_study_owns_its_files(monkeypatch, path, expected):
    monkeypatch.chdir(REPOSITORY)
    assert owner(REPOSITORY / path) == expected
