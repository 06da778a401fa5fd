"""The examples run, and print what docs/your-own.md says."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.documents import blocks

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
PRINTED = blocks("text", REPOSITORY / "docs/your-own.md")


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_the_page_shows(path, tmp_path):
    result = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout in PRINTED


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_named_on_the_page(path):
    page = (REPOSITORY / "docs/your-own.md").read_text()
    assert f"examples/{path.name}" in page
    assert "# %%" in path.read_text()
