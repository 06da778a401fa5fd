"""The examples run, and print what docs/examples.md says."""

import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.documents import blocks

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
PAGE = REPOSITORY / "docs/examples.md"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def test_the_page_shows_what_each_example_prints():
    assert len(blocks("text", PAGE)) == len(EXAMPLES)


def figures(text):
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def words(text):
    return NUMBER.sub("#", " ".join(text.split()))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_the_page_shows(path, tmp_path):
    if "import torch" in path.read_text() and not find_spec("torch"):
        pytest.skip("takes torch, which nothing else here does")
    result = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    (shown,) = (block for block in blocks("text", PAGE) if words(block) == words(result.stdout))
    # Another processor may fit a little otherwise.
    assert np.allclose(figures(result.stdout), figures(shown), rtol=0.2), result.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_named_on_the_page(path):
    assert f"`examples/{path.name}`" in PAGE.read_text()
    assert "# %%" in path.read_text()
