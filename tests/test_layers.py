"""Who may import whom, and which heavy library is loaded where."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# Lowest first; a module imports only from rows above its own, or, in its row, from its left.
LAYERS = [
    ["errors", "params", "files"],
    ["confidence", "calibration", "cascading", "routing", "oracle", "intervals", "scoring"],
    ["tuning", "baselines", "certification", "doctor", "footprint", "engine", "strategies"],
    ["data", "inference", "graphs", "quantization", "classifiers", "networks", "pool", "router"],
    ["energy", "formats", "estimators"],
    [
        "figures",
        "page",
        "readme",
        "pipeline",
        "lineage",
        "explorer",
        "report",
        "samples",
        "results",
        "cli",
        "__main__",
    ],
]
PURE = {module for row in LAYERS[1:3] for module in row}
HOMES = {
    "keras": {"networks", "formats"},
    "tensorflow": {"networks", "formats"},
    "mapie": {"certification"},
    "onnx": {"graphs", "quantization"},
    "skl2onnx": {"graphs"},
    "onnxruntime": {"inference", "quantization"},
    "codecarbon": {"energy"},
    "matplotlib": set(),
    "pydantic": {"params"},
    "vl_convert": {"figures", "page", "report"},
    "click": {"cli"},
    "pyarrow": {"results"},
    "oxipng": {"figures", "report"},
}
ORDER = [module for row in LAYERS for module in row]
MODULES = sorted(path.stem for path in (REPOSITORY / "eco").glob("*.py") if path.stem != "__init__")


def imported(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def eco_imports(path):
    parts = (name.split(".") for name in imported(path))
    return {name[1] for name in parts if name[0] == "eco" and len(name) > 1}


def test_every_module_has_its_place():
    assert sorted(ORDER) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_lies_below_it(module):
    below = set(ORDER[: ORDER.index(module)])
    assert eco_imports(REPOSITORY / "eco" / f"{module}.py") <= below


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_stay_at_home(module):
    libraries = {name.split(".")[0] for name in imported(REPOSITORY / "eco" / f"{module}.py")}
    for library, homes in HOMES.items():
        assert library not in libraries or module in homes


def test_nobody_imports_stages():
    for folder in ("eco", "stages"):
        for path in (REPOSITORY / folder).glob("*.py"):
            assert not any(name.split(".")[0] == "stages" for name in imported(path))


def test_only_stages_and_the_readme_read_params():
    for module in set(MODULES) - {"params", "readme", "cli", "pipeline"}:
        assert "params" not in eco_imports(REPOSITORY / "eco" / f"{module}.py")


def loaded_by(statement):
    heavy = [*HOMES, "sklearn", "scipy", "pandas"]
    code = f"import sys\n{statement}\nprint(*[name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_decision_module_loads_nothing_heavy(module):
    assert loaded_by(f"import eco.{module}") <= {"scipy"}


def test_evaluating_a_cascade_loads_no_learning_library():
    assert loaded_by("import stages.evaluate_cascading") == {"pydantic", "scipy"}


def test_predicting_loads_no_training_library():
    assert loaded_by("import stages.predict") <= {"pydantic", "onnxruntime", "scipy"}
