"""A small part of `make fuzz`, and what it calls a fault."""

import sys
from pathlib import Path

import pytest

from eco.errors import EcoError, reported
from tools import fuzz, fuzz_cases
from tools.fuzz_cases import Case

CASES = 64


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "study"
    fuzz.make_study(folder)
    return folder


@pytest.mark.slow
def test_the_first_cases_end_well_or_in_one_message(study):
    assert [fault for fault in fuzz.run(range(CASES), study, jobs=1) if fault] == []


def refuse(problem):
    with reported():
        raise EcoError(problem)


def take(n_bytes):
    sys.stdout.write(str(len(bytearray(n_bytes))))


def spin():
    while True:
        pass


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (lambda: None, ""),
        (lambda: refuse("x must be 1, got 2"), ""),
        (lambda: Path("answers.csv").write_text("1"), ""),
        (lambda: [][0], "IndexError at"),
        (lambda: (print("ERROR: " + "x" * 5000, file=sys.stderr), sys.exit(1)), "a message of"),
        (lambda: sys.exit(3), "status 3 without a message"),
        (lambda: Path("params.yaml").write_text("1"), "changes params.yaml"),
        (lambda: (Path("answers.csv").write_text("1"), refuse("no")), "changes answers.csv"),
        (lambda: take(2 * fuzz.MEMORY), "takes "),
        (lambda: take(9 * fuzz.MEMORY), "MemoryError at"),
        (spin, "hangs"),
    ],
)
def test_it_knows_a_fault(study_of_one_file, monkeypatch, action, fault):
    monkeypatch.setattr(fuzz, "CPU_S", 1)
    monkeypatch.setattr(fuzz, "MEMORY", 2**26)
    case = Case("kind", "what", action, outputs=("answers.*",))
    monkeypatch.setattr(fuzz_cases, "make", lambda number, seed: case)
    (line,) = fuzz.run([7], study_of_one_file, jobs=1)
    assert line.startswith(f"kind: {fault}") if fault else line == ""
    assert not fault or line.endswith("--seed 0 --case 7")


def test_what_must_be_refused_may_not_be_accepted(study_of_one_file, monkeypatch):
    case = Case("kind", "what", lambda: None, refused=True)
    monkeypatch.setattr(fuzz_cases, "make", lambda number, seed: case)
    (line,) = fuzz.run([7], study_of_one_file, jobs=1)
    assert line.startswith("kind: is accepted | what | ")


@pytest.fixture
def study_of_one_file(tmp_path):
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    return tmp_path
