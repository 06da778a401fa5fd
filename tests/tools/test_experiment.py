"""`make experiment`: what it lets through to `dvc exp run`, and what it refuses before."""

import shutil
from pathlib import Path

import pytest

from eco.errors import EcoError, ParamsError
from tests.conftest import REPOSITORY
from tools import experiment

THRESHOLDS = "cascading.thresholds=[0.95,0.9,0.85,0.0]"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """params.yaml of the study, in whose folder the test runs."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(REPOSITORY / "params.yaml", tmp_path))


@pytest.mark.parametrize("text", ["a=[0.9, 0.0]", "a=1 b", "=1"])
def test_a_word_that_is_no_setting_is_refused(text):
    with pytest.raises(EcoError, match="without spaces inside a list"):
        experiment.split(text)


def test_settings_are_words_as_they_were_typed():
    words = [THRESHOLDS, "a='b'", 'a="$(touch${IFS}found)"', "a=*|b&c>found", "~a"]
    assert experiment.split(" ".join(words)) == words


def test_a_refused_setting_changes_nothing(written):
    before = written.read_bytes()
    with pytest.raises(ParamsError, match="4 active models") as refusal:
        experiment.check(["cascading.thresholds=[0.9,0.0]"])
    assert "Nothing was run or changed" in str(refusal.value)
    assert str(refusal.value).startswith("params.yaml: ")
    experiment.check([THRESHOLDS])
    assert written.read_bytes() == before


def test_what_an_earlier_experiment_left_is_called_so(written):
    written.write_text(written.read_text().replace("max_harm: 0.5", "max_harm: -1"))
    for settings in ([], [THRESHOLDS]):
        with pytest.raises(ParamsError, match="max_harm must be") as refusal:
            experiment.check(settings)
        assert "earlier experiment" in str(refusal.value) and "make back" in str(refusal.value)
    experiment.check(["certification.max_harm=1.0"])


STAGES = {
    "train@tiny": (["seed", "models.tiny"], ["data/train.npz"]),
    "evaluate_cascading": (["cascading"], []),
}


@pytest.mark.parametrize("setting", ["seed=1", "models.tiny.depth=3", "~models"])
def test_settings_that_would_train_in_a_clone_are_refused(setting):
    with pytest.raises(EcoError, match=r"train@tiny reads data/train\.npz") as refusal:
        experiment.affected([THRESHOLDS, setting], STAGES)
    assert "make repro" in str(refusal.value)


def test_a_threshold_is_read_by_one_stage():
    assert experiment.affected([THRESHOLDS, "seeds=1"], STAGES) == ["evaluate_cascading"]


@pytest.mark.slow
def test_the_stages_of_the_study_read_what_dvc_yaml_says(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    stages = experiment.reads()
    assert "cascading" in stages["evaluate_cascading"][0]
    assert "seed" in stages["fetch"][0]
    assert not stages["evaluate_cascading"][1]
    assert "report" not in stages


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("foo.bar=1", "foo is not a setting"),
        ("cascading.thresholdz=[0.9]", "cascading.thresholdz is not a setting .*thresholds"),
        ("cascading.thresholds=[0.9", r"SET=cascading.thresholds=\[0.9"),
    ],
)
def test_what_dvc_can_not_put_into_params_is_refused_by_name(written, setting, told):
    before = written.read_bytes()
    with pytest.raises(EcoError, match=told):
        experiment.check([setting])
    assert written.read_bytes() == before


def test_without_a_setting_nothing_runs(monkeypatch):
    monkeypatch.delenv("SETTINGS", raising=False)
    with pytest.raises(EcoError, match="SET must hold a setting"):
        experiment.main()
