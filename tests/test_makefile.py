"""The Makefile, with programs that only say how they were called."""

import os
import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY

#: It says its name and arguments, and as `python -m venv` it puts itself into the environment.
PROGRAM = r"""#!/bin/sh
(IFS='|'; printf '%s|%s\n' "${0##*/}" "$*")
test -z "$SETTINGS" || printf 'SETTINGS=%s\n' "$SETTINGS" >&2
if [ "$1|$2" = "-m|venv" ]; then
    mkdir -p "$3/bin"
    for program in python dvc eco; do cp "$0" "$3/bin/$program"; done
fi
"""
#: Each is a word; make or a shell that read one would write the file `found`.
SETTINGS = [
    "cascading.thresholds=[0.95,0.9,0.85,0.0]",
    "a='b'",
    "a=1';touch${IFS}found;'",
    'a="$(touch${IFS}found)"',
    "a=`touch${IFS}found`",
    "a=1;touch${IFS}found",
    "a=$(eval$(file>found,x))",
    "a=*|b&c>found",
    "--help=1",
    "~a",
]


@pytest.fixture
def make(tmp_path):
    """A function that runs `make` in a folder with spaces; it gives the calls, one a list."""
    folder = tmp_path / "a folder" / "the study"
    (folder / "eco/report").mkdir(parents=True)
    for name in (
        "Makefile",
        "requirements.txt",
        "requirements-demo.txt",
        "pyproject.toml",
        "eco/report/plots_page.py",
    ):
        shutil.copy(REPOSITORY / name, folder / name)
    python = tmp_path / "a folder" / "python"
    python.write_text(PROGRAM)
    python.chmod(0o755)

    def run(*arguments, ok=True):
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        result = subprocess.run(
            ["make", "-s", *arguments, f"PYTHON={python}"],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (result.returncode == 0) is ok, result.stderr
        calls = [line.split("|") for line in result.stdout.splitlines()]
        return calls, result.stderr, folder

    return run


def test_a_folder_with_spaces_gets_its_environment(make):
    calls, _, folder = make("repro")
    ran = [["python", "-m", "tools.repro"]]
    assert calls[-1:] == ran
    assert [
        "dvc",
        "config",
        "--local",
        "plots.html_template",
        f"{folder}/.venv/plots.html",
    ] in calls
    assert make("repro")[0] == ran


@pytest.mark.parametrize(("goal", "name"), [("env", ".venv"), ("demo", ".venv-demo")])
def test_an_environment_whose_making_was_interrupted_is_made_anew(make, goal, name):
    _, _, folder = make(goal)
    environment, half = folder / name, folder / name / "half a package"
    assert not (environment / ".unfinished").exists()
    for interrupted in (False, True):
        half.touch()
        (environment / ".ready").unlink()
        if interrupted:
            (environment / ".unfinished").touch()
        make(goal)
        assert half.exists() is not interrupted
        assert (environment / ".ready").exists()


def test_every_package_that_is_installed_has_its_hash_checked(make):
    installs = [call for call in make("env")[0] if "install" in call]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert {"--no-deps", "--no-build-isolation"} < set(installs[1])


def test_settings_reach_the_tool_as_they_were_typed(make):
    make("env")
    settings = " ".join(SETTINGS)
    calls, said, folder = make("experiment", f"SET={settings}")
    assert "|".join(calls[-1]) == "python|-m|tools.experiment"
    assert f"SETTINGS={settings}\n" in said
    assert not (folder / "found").exists()


@pytest.mark.parametrize(("goal", "option"), [("full", "--full"), ("measure", "--measure")])
def test_the_ways_to_run_the_study_differ_in_an_option(make, goal, option):
    make("env")
    assert make(goal)[0] == [["python", "-m", "tools.repro", option]]


def test_the_demo_has_a_small_environment_of_its_own(make):
    calls, _, _ = make("demo")
    installed = [call for call in calls if "install" in call]
    assert installed[0][-3:] == ["--require-hashes", "-r", "requirements-demo.txt"]
    assert installed[1][-2:] == ["--editable", "."]
    assert calls[-1] == ["eco", "demo"]
    assert make("demo")[0] == [["eco", "demo"]]


def pinned(name):
    lines = (REPOSITORY / name).read_text().splitlines()
    return {line for line in lines if "==" in line}


def test_the_demo_takes_the_versions_of_the_study_and_less():
    demo, study = pinned("requirements-demo.txt"), pinned("requirements.txt")
    assert demo < study
    assert not any(line.startswith(("tensorflow", "keras")) for line in demo)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-demo.txt"])
def test_the_requirements_name_hashes_and_no_host(name):
    text = (REPOSITORY / name).read_text()
    packages = pinned(name)
    assert len(packages) > 100
    assert all(line.endswith("\\") for line in packages)
    assert text.count("--hash=sha256:") > len(packages)
    assert "://" not in text
    assert "index-url" not in text
