"""Which package may import which, and what an import loads."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

HEAVY = (
    "codecarbon", "jinja2", "keras", "mapie", "matplotlib", "onnx", "onnxruntime", "pandas",
    "pydantic", "scipy", "sklearn", "skl2onnx", "tensorflow", "vl_convert",
)  # fmt: skip
PURE = sorted(
    f"eco.{path.parent.name}.{path.stem}"
    for package in ("strategies", "evaluation")
    for path in (REPOSITORY / "eco" / package).glob("[a-z]*.py")
)


def loaded_by(statement):
    code = f"import sys\n{statement}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_imports_keep_the_contracts_of_pyproject():
    # In a process of its own: import-linter sets logging up anew, which closes pytest's handlers.
    code = "import importlinter.cli, sys; sys.exit(importlinter.cli.lint_imports(no_cache=True))"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_arithmetic_loads_numpy_and_scipy_only():
    assert loaded_by("\n".join(f"import {module}" for module in PURE)) <= {"scipy"}


@pytest.mark.parametrize(
    ("statement", "libraries"),
    [
        ("import eco", set()),
        ("from eco import certify, tune", {"scipy"}),
        (
            "import eco.report.predictions",
            {"jinja2", "matplotlib", "pandas", "scipy", "vl_convert"},
        ),
        ("import eco.energy.protocol, eco.energy.measurement", {"scipy"}),
        ("import eco.models.base, eco.models.kinds", {"pydantic", "scipy"}),
        ("import stages.evaluate_cascading", {"pydantic", "scipy"}),
        ("import stages.predict", {"pydantic", "scipy", "onnxruntime"}),
    ],
)
def test_an_import_loads_only_what_it_needs(statement, libraries):
    assert loaded_by(statement) <= libraries


def test_the_classifiers_load_no_package_of_an_extra():
    loaded = loaded_by("from eco import CascadeClassifier, OnnxClassifier, RoutingClassifier")
    assert loaded <= {"pandas", "scipy", "sklearn"}


@pytest.mark.parametrize("given", [None, "0"])
def test_the_telemetry_of_onnx_runtime_is_off_unless_it_is_asked_for(monkeypatch, given):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    if given:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    code = "import eco, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == (given or "1")
