"""The documents of the repository, and what stands in their code blocks."""

import re

from tests.conftest import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
DOCUMENTS += sorted((REPOSITORY / "docs").glob("*.md"))


def blocks(language, path):
    """The code blocks of one language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    """Every command that a document shows, with its file: lines of console blocks after ``$``."""
    found = [
        (path, line.removeprefix("$ ").partition("  #")[0].strip())
        for path in DOCUMENTS
        for block in blocks("console", path)
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    return list(dict.fromkeys(found))


#: The commands that make a queue of experiments and run it, in order.
QUEUE = [command for _, command in commands() if re.match("dvc (exp run --)?queue ", command)]
