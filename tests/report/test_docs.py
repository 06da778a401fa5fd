"""What README.md and docs/ say is true: their results, commands, settings, links."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
import yaml

from eco.errors import FileError
from eco.workflow import params
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
ALL = "\n".join(path.read_text() for path in PAGES)

_spec = importlib.util.spec_from_file_location("build", REPOSITORY / "docs/build.py")
build = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(build)


class TestBlocks:
    def test_only_what_stands_between_marks_is_replaced(self):
        text = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n<!-- begin: y -->\n<!-- end: y -->\n"
        filled = build.fill(text, lambda name: f"new {name}\n", "page", skip=("y",))
        assert filled == text.replace("old", "new x")

    @pytest.mark.parametrize("text", ["<!-- begin: x -->", "<!-- end: x --><!-- begin: x -->"])
    def test_a_mark_that_stands_alone_is_an_error(self, text):
        with pytest.raises(FileError, match="page must hold marks in pairs"):
            build.fill(text, str, "page")

    def test_a_block_that_nothing_makes_is_an_error(self, monkeypatch):
        monkeypatch.chdir(REPOSITORY)
        with pytest.raises(FileError, match="nothing makes the block weather"):
            build.renderer()("weather")

    def test_they_show_the_committed_results(self):
        command = [sys.executable, "docs/build.py", "--check"]
        result = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    def test_the_experiment_shows_the_committed_metrics(self):
        (chosen,) = json.loads((REPOSITORY / "plots/cascading.json").read_text())
        presets = json.loads((REPOSITORY / "plots/strategies.json").read_text())
        (tried,) = (row for row in presets if row["name"] == "aggressive")
        for key in ("accuracy", "energy_share", "harm"):
            before, after = re.search(rf"cascading\.{key} +([\d.]+) +([\d.]+)", ALL).groups()
            assert float(before) == pytest.approx(chosen[key], rel=1e-3)
            assert float(after) == pytest.approx(tried[key], rel=1e-3)


class TestText:
    def test_every_make_target_exists(self):
        makefile = (REPOSITORY / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
        named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", ALL))
        assert {"repro", "test", "experiment"} <= named
        assert named <= targets

    @pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
    def test_every_link_leads_somewhere(self, page):
        for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            there = page.parent / path if path else page
            assert there.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
                anchors = [
                    re.sub(r"[^a-z0-9 _-]", "", h.lower()).replace(" ", "-") for h in headings
                ]
                assert anchor in anchors, target

    def test_every_file_it_names_exists(self):
        for path in re.findall(r"`((?:eco|stages|docs|tools|tests)/[\w/.]+)`", ALL):
            assert (REPOSITORY / path).exists(), path

    def test_every_stage_is_explained(self):
        stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
        pipeline = (REPOSITORY / "docs/pipeline.md").read_text()
        rows = re.findall(r"^\| `([a-z_]+)(?:@MODEL)?` \|", pipeline, re.MULTILINE)
        assert set(stages) <= set(rows)
        graph = re.search(r"```mermaid(.*?)```", pipeline, re.DOTALL).group(1)
        assert set(re.findall(r"[a-z_]+", graph)) - {"flowchart"} == set(stages)

    def test_every_setting_is_explained(self):
        text = (REPOSITORY / "docs/settings.md").read_text()
        settings = params.load(REPOSITORY / "params.yaml").model_dump()
        keys = [f"{name}.{key}" for name, section in settings.items()
                if isinstance(section, dict) and name != "models" for key in section]  # fmt: skip
        sections = ("data.shares",)
        for key in keys:
            assert f"## {key}\n" in text if key in sections else f"`{key}`" in text, key
        for model in settings["models"].values():
            for key in model:
                assert f"`{key}`" in text, key

    def test_the_pictures_are_made_by_the_pipeline(self):
        lock = (REPOSITORY / "dvc.lock").read_text()
        for path in re.findall(r"\]\((?:\.\./)?(plots/[^)]+)\)", ALL):
            assert f"path: {path}" in lock
