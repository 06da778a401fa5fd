"""What README.md says is true: its results, its commands, its settings, its files."""

import re

import pytest
from ruamel.yaml import YAML

from eco import files, params, readme
from eco.errors import FileError
from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "README.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()


GENERATED = [(marks, make) for marks, make in readme.TABLES if marks != readme.SESSION]


@pytest.mark.parametrize(("marks", "make"), GENERATED, ids=[make.__name__ for _, make in GENERATED])
def test_a_table_is_that_of_the_committed_metrics(monkeypatch, marks, make):
    monkeypatch.chdir(REPOSITORY)
    assert readme.between(marks, TEXT).strip() == make()


def test_the_session_shows_the_committed_metrics(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    (chosen,) = files.load_json(files.rows_path("cascading"), "evaluate_cascading")
    presets = files.load_json(files.rows_path("strategies"), "evaluate_frontier")
    (tried,) = (row for row in presets if row["name"] == "aggressive")
    shown = readme.between(readme.SESSION, TEXT)
    for key in ("accuracy", "energy_share", "retention"):
        before, after = re.search(rf"cascading\.{key} +([\d.]+) +([\d.]+)", shown).groups()
        assert float(before) == pytest.approx(chosen[key], abs=1e-5)
        assert float(after) == pytest.approx(tried[key], abs=1e-5)


def test_every_make_target_it_names_exists():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)", TEXT))
    assert {"repro", "test", "quick", "experiment", "measure"} <= named
    assert named <= targets


def test_every_file_it_links_exists():
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
    for path in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        there = path[1:] in anchors if path.startswith("#") else (REPOSITORY / path).exists()
        assert there, path


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
    tables = [
        (marks, (lambda: "new session") if marks == readme.SESSION else make)
        for marks, make in readme.TABLES
    ]
    monkeypatch.setattr(readme, "TABLES", tables)
    old, new = ["before"], ["before"]
    for marks, make in readme.TABLES:
        old += [marks[0], "old", marks[1], "between"]
        new += [marks[0], make(), marks[1], "between"]
    path.write_text("\n".join(old))
    readme.refresh(path)
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
    for name, thresholds in params.load().cascading.presets.items():
        assert f"cascade, {name} {thresholds} |" in readme.results()
