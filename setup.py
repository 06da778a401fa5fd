"""Adds the files that `eco init` copies to the wheel; pyproject.toml says everything else."""

from pathlib import Path
from shutil import copy, copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

#: What a study of one's own starts from; MANIFEST.in names the same for the source distribution.
STUDY = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
    "dvc.yaml",
    "models/.gitignore",
    "params.yaml",
    "stages",
)


class BuildWithStudy(build_py):
    """Copies the pipeline into the package."""

    def run(self) -> None:
        """Build the package, then add the files."""
        super().run()
        if self.editable_mode:
            return
        for name in STUDY:
            target = Path(self.build_lib, "eco/templates/study", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                ignored = ignore_patterns("__pycache__")
                copytree(name, target, ignore=ignored, dirs_exist_ok=True)
            else:
                copy(name, target)


setup(cmdclass={"build_py": BuildWithStudy})
