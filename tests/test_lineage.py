import hashlib
from pathlib import Path

import pytest

from eco import lineage
from eco.errors import FileError


def recorded(*names):
    entries = []
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        entries.append(f"    - path: {name}\n      md5: {hashlib.md5(name.encode()).hexdigest()}\n")
    return "".join(entries)


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A chain of two stages: data/a.json, and code, to data/b.json, and that to two results."""
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text(
        "schema: '2.0'\nstages:\n"
        f"  one:\n    deps:\n{recorded('data/a.json', 'eco/one.py')}"
        f"    outs:\n{recorded('data/b.json')}"
        f"  two:\n    deps:\n{recorded('data/b.json')}"
        f"    outs:\n{recorded('metrics/c.json', 'plots/d.json')}"
    )


def found():
    return {str(o.result): [str(path) for path in o.changed] for o in lineage.outdated()}


def test_nothing_is_said_of_results_that_belong_together(workflow):
    assert found() == {}
    assert lineage.advice() is None
    Path("eco/one.py").write_text("other code")
    Path("data/a.json").unlink()
    assert found() == {}, "code, and what isn't there, are of `dvc status`"


def test_results_of_a_file_that_has_changed_are_named(workflow):
    Path("data/b.json").write_text("of another run")
    assert found() == {
        "data/b.json": ["data/b.json"],
        "metrics/c.json": ["data/b.json"],
        "plots/d.json": ["data/b.json"],
    }
    told = lineage.advice()
    assert "data/b.json, metrics/c.json, plots/d.json were made before data/b.json changed" in told
    assert "dvc repro" in told


def test_images_are_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = recorded("data/train.npz", "data/labels.npz")
    Path("dvc.lock").write_text(f"stages:\n  fetch:\n    outs:\n{record}")
    Path("data/train.npz").write_text("other images")
    read, seen = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: (seen.append(str(path)), read(path))[1])
    assert found() == {}
    assert seen == ["data/labels.npz"]


def test_a_result_that_was_changed_by_itself_is_named_alone(workflow):
    Path("plots/d.json").write_text("drawn by hand")
    assert found() == {"plots/d.json": ["plots/d.json"]}


@pytest.mark.parametrize("content", [None, "<<<<<<< HEAD\n", "[]", "stages: 3", "stages:\n  a: 1"])
def test_a_record_that_cannot_be_read_is_named(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("dvc.lock").write_text(content)
    with pytest.raises(FileError, match=r"dvc\.lock can't be read .* git checkout dvc\.lock"):
        lineage.outdated()
