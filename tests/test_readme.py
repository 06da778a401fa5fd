"""What README.md says is true: its results, its commands, its settings, its files."""

import re

import pytest
from ruamel.yaml import YAML

from eco import files, readme
from eco.errors import FileError
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "README.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()


def test_the_results_are_those_of_the_committed_metrics(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert readme.between(readme.RESULTS, TEXT).strip() == readme.results()


def test_the_footprint_is_that_of_the_committed_metrics(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert readme.between(readme.FOOTPRINT, TEXT).strip() == readme.footprint()


def test_the_session_shows_the_committed_metrics(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    rows = {row["name"]: row for row in files.load_json(files.rows_path("cascading"), "compare")}
    shown = readme.between(readme.SESSION, TEXT)
    for key in ("accuracy", "energy_share", "retention"):
        before, after = re.search(rf"cascading\.{key} +([\d.]+) +([\d.]+)", shown).groups()
        assert float(before) == pytest.approx(rows["chosen"][key], abs=1e-5)
        assert float(after) == pytest.approx(rows["aggressive"][key], abs=1e-5)


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)", TEXT))
    assert {"repro", "test", "quick", "experiment", "measure"} <= named
    assert named <= targets


def test_every_file_it_links_exists():
    for path in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (REPOSITORY / path).exists(), path


def test_every_stage_and_every_setting_is_explained():
    stages = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    rows = re.findall(r"^\| `([a-z_]+)(?:@MODEL)?` \|", TEXT, re.MULTILINE)
    assert set(stages) <= set(rows)
    params = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())
    for section, settings in params.items():
        if section == "models" or not isinstance(settings, dict):
            continue
        for key in settings:
            assert f"`{section}.{key}`" in TEXT, f"{section}.{key}"


def test_the_graph_names_the_stages_in_the_order_they_run():
    stages = list(YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text())["stages"])
    graph = re.search(r"```mermaid(.*?)```", TEXT, re.DOTALL).group(1)
    assert set(re.findall(r"[a-z_]+", graph)) - {"flowchart"} == set(stages)


def test_the_pictures_it_shows_are_made_by_the_pipeline():
    lock = (REPOSITORY / "dvc.lock").read_text()
    for path in re.findall(r"\]\((plots/[^)]+)\)", TEXT):
        assert f"path: {path}" in lock


def test_results_are_put_between_the_marks_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    path = tmp_path / "README.md"
    monkeypatch.setattr(readme, "session", lambda: "new session")
    old = ["before", readme.RESULTS[0], "old", readme.RESULTS[1]]
    old += ["between", readme.SESSION[0], "old", readme.SESSION[1], "after"]
    old += [readme.FOOTPRINT[0], "old", readme.FOOTPRINT[1]]
    path.write_text("\n".join(old))
    readme.refresh(path)
    new = [*old[:2], readme.results(), *old[3:6], "new session", *old[7:]]
    new[-2] = readme.footprint()
    assert path.read_text() == "\n".join(new)


def test_a_readme_without_the_marks_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    path = tmp_path / "README.md"
    path.write_text("mine")
    with pytest.raises(FileError, match="once, got 0"):
        readme.refresh(path)
    assert path.read_text() == "mine"


def test_every_preset_is_shown_with_its_thresholds(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    names = [row["name"] for row in files.load_json(files.rows_path("cascading"), "compare")]
    for name in names:
        assert f"**cascading**, {name} [" in readme.results()
