"""Folders of answers, as each machine of a cluster sees them."""

from pathlib import Path

import pytest

from eco.cli.folders import open_folder
from eco.errors import FileError


def test_a_folder_that_a_machine_does_not_share_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = open_folder("answers/").absolute()
    with pytest.raises(FileError, match=r"answers is not a folder on .*\. Name a folder that all"):
        folder.check()
    folder.prepare()
    folder.check()
    assert folder.place("a.csv") == str(tmp_path / "answers/a.csv")
    assert folder.recorded() == folder.names() == set()
    assert Path(folder.place(".eco-predict")).is_dir()
