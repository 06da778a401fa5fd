"""The wheel, installed where nothing but its declared dependencies is visible."""

import itertools
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from shutil import copy

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

#: What a build reads beside the package; what `eco init` copies.
BUILD = ("MANIFEST.in", "pyproject.toml", "setup.py", "README.md", "LICENSE")
STUDY = ("dvc.yaml", "params.yaml", "stages", ".dvc/plots", ".dvc/config", ".dvc/.gitignore",
         ".dvcignore", ".gitignore", "data/.gitignore", "models/.gitignore")  # fmt: skip

FIT = """
import pickle
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from eco import CascadeClassifier, RoutingClassifier, __version__

X, y = load_digits(return_X_y=True)
pool = [("light", GaussianNB()), ("heavy", LogisticRegression(max_iter=30))]
cascade = CascadeClassifier(
    pool, "certified", energies=[1.0, 20.0], max_harm=20, holdout=0.4, random_state=0
)
cascade.fit(X / 16, y)
routing = RoutingClassifier(pool, price=0.1, probe="light", energies=[1.0, 20.0], router_energy=0.1)
routing.fit(X / 16, y)
with open("models.pickle", "wb") as file:
    pickle.dump((cascade, routing, X[:200] / 16, cascade.predict(X[:200] / 16)), file)
print(__version__)
try:
    CascadeClassifier(pool, energies="measured").fit(X / 16, y)
except ImportError as error:
    print(error)
"""
TUNE = """
from eco import certify, tune

confidence = {"light": [0.9, 0.8, 0.3, 0.2] * 100, "heavy": [0.9] * 400}
correct = {"light": [1, 1, 0, 0] * 100, "heavy": [1] * 400}
predictions = {"confidence": confidence, "correct": correct}
print(tune({"light": 1, "heavy": 9}, **predictions).thresholds)
print(certify({"light": 1, "heavy": 9}, max_loss=5, **predictions).thresholds)
"""
LOAD = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    cascade, routing, X, labels = pickle.load(file)
assert (cascade.predict(X) == labels).all()
print(*cascade.explain(X), len(routing.explain(X)))
"""


def checked(*command, cwd=REPOSITORY, status=0):
    """Standard output and error of a command that must exit with a status."""
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution, built from a copy of the sources."""
    sources, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("dist")
    names = subprocess.run(
        ["git", "ls-files", "eco", *STUDY, *BUILD], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        copy(REPOSITORY / name, sources / name)
    for kind in ("sdist", "wheel"):
        build = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
        checked(sys.executable, "-c", build, cwd=sources)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def needed(requirements):
    """Names of all distributions that requirements without extras bring, themselves included."""
    names, waiting = set(), [Requirement(text) for text in requirements or ()]
    while waiting:
        requirement = waiting.pop()
        wanted = not requirement.marker or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in names:
            names.add(requirement.name)
            waiting += map(Requirement, metadata.requires(requirement.name) or ())
    return names


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory):
    """Python of a new environment with the wheel and what it requires, and with nothing else.

    Its dependencies are links to those of the present environment, which the network can't change.
    """
    folder = tmp_path_factory.mktemp("environment")
    checked(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    checked(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps",
        built[0],
    )  # fmt: skip
    code = "from importlib.metadata import requires; print(*requires('ecoinference'), sep='\\n')"
    requirements = checked(python, "-I", "-c", code).splitlines()
    packages = Path(checked(python, "-c", "import site; print(site.getsitepackages()[0])").strip())
    for name in needed(requirements):
        files = metadata.files(name)
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            (packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    return python


@pytest.fixture(scope="module")
def elsewhere(environment, tmp_path_factory):
    """A folder that holds nothing but what fitted models wrote, and what they printed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    return folder, checked(environment, "-c", FIT, cwd=folder)


def test_the_wheel_holds_the_package_and_its_templates_and_nothing_else(built):
    names = zipfile.ZipFile(built[0]).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name.partition("-")[0] for name in top} == {"eco", "ecoinference"}
    in_git = subprocess.run(
        ["git", "ls-files", "eco", *STUDY], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    ).stdout.splitlines()  # fmt: skip
    kept = {name if name.startswith("eco/") else f"eco/templates/study/{name}" for name in in_git}
    assert {name for name in names if name.startswith("eco/")} == kept
    assert "eco/report/templates/report.css" in kept
    assert "eco/templates/study/stages/fetch.py" in kept
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_builds_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    checked(sys.executable, "-c", build, cwd=sources)
    (wheel,) = (sources / "dist").glob("*.whl")
    again, first = zipfile.ZipFile(wheel), zipfile.ZipFile(built[0])
    assert sorted(again.namelist()) == sorted(first.namelist())
    for name in first.namelist():
        assert again.read(name) == first.read(name) or name.endswith("RECORD")


def test_little_else_is_required(environment):
    code = "from importlib.metadata import distributions as d; print(*{x.name for x in d()})"
    installed = set(checked(environment, "-I", "-c", code).lower().split())
    assert {"ecoinference", "mapie", "numpy", "pandas", "scikit-learn", "scipy"} <= installed
    assert len(installed) <= 12


def test_classifiers_are_fitted_and_certified_in_an_empty_folder(elsewhere):
    assert elsewhere[1].splitlines()[0] == metadata.version("ecoinference")


def test_predictions_are_tuned_and_certified_in_an_empty_folder(environment, tmp_path):
    assert checked(environment, "-c", TUNE, cwd=tmp_path).split("\n")[:2] == ["(0.8, 0.0)"] * 2


def test_a_fitted_classifier_is_loaded_in_another_folder(environment, elsewhere, tmp_path):
    columns = checked(environment, "-c", LOAD, elsewhere[0] / "models.pickle", cwd=tmp_path)
    assert columns.split() == [
        "label", "answered_by", "confidence", "energy_j", "models_run", "200"
    ]  # fmt: skip


def test_measuring_without_its_extra_names_it(elsewhere):
    assert "pip install 'ecoinference[energy]'" in elsewhere[1]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("eco.runtime.session", "onnx"),
        ("eco.energy.meter", "energy"),
        ("eco.workflow.params", "workflow"),
        ("eco.report.charts", "report"),
    ],
)
def test_a_module_without_its_extra_names_it(environment, tmp_path, module, extra):
    text = checked(environment, "-c", f"import {module}", cwd=tmp_path, status=1)
    assert text.splitlines()[-1].startswith("eco.errors.MissingExtraError: the package ")
    assert text.rstrip().endswith(f"pip install 'ecoinference[{extra}]'")


def test_the_command_line_without_its_extra_is_one_message(environment, tmp_path):
    for command in ([environment.parent / "eco"], [environment, "-m", "eco"]):
        for name, extra in (("show", "workflow"), ("study", "study")):
            text = checked(*command, name, cwd=tmp_path, status=1)
            assert text.strip().startswith("ERROR: the package click is not installed")
            assert f"pip install 'ecoinference[{extra}]'" in text


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *itertools.chain(*extras)]
    declared = {canonicalize_name(Requirement(text).name) for text in requirements}
    code = (
        "import grimp; graph = grimp.build_graph('eco', include_external_packages=True)\n"
        "print(*(m for m in graph.modules if m.partition('.')[0] != 'eco'))"
    )
    imported = set(checked(sys.executable, "-c", code).split()) - set(sys.stdlib_module_names)
    sources = metadata.packages_distributions()
    for module in imported:
        # Not all are installed.
        assert declared & set(map(canonicalize_name, sources.get(module, [module]))), module
