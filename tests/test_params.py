import copy
import io
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from eco.errors import ParamsError
from eco.params import load
from tests.conftest import REPOSITORY

COMMITTED = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())


@pytest.fixture
def changed(tmp_path):
    def write(path: str, value) -> Path:
        content = copy.deepcopy(COMMITTED)
        section = content
        *parents, last = path.split(".")
        for key in parents:
            section = section[key]
        if value is None:
            del section[last]
        else:
            section[last] = value
        stream = io.StringIO()
        YAML().dump(content, stream)
        (tmp_path / "params.yaml").write_text(stream.getvalue())
        return tmp_path / "params.yaml"

    return write


def test_the_committed_settings_are_valid():
    assert load(REPOSITORY / "params.yaml").pool == COMMITTED["pool"]


def test_a_preset_may_be_named(changed):
    chain = load(changed("cascading.thresholds", "aggressive")).cascading
    assert chain.chosen_thresholds == COMMITTED["cascading"]["presets"]["aggressive"]


@pytest.mark.parametrize("found", ["tuned", "certified"])
def test_thresholds_that_were_found_bring_their_own_models(changed, found):
    assert load(changed("cascading.thresholds", found)).cascading.thresholds == found


def test_numbers_as_dvc_writes_them_are_numbers(tmp_path):
    text = (REPOSITORY / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(r"learning_rate: .*", "learning_rate: 1e-05", text))
    assert load(path).models["large"].learning_rate == 1e-5


REFUSED = [
    ("cascading.treshold", 1, "cascading.treshold", "Did you mean cascading.thresholds?"),
    ("foo", 1, "foo is not a setting", "cascading"),
    ("cascading.thresholds", [0.9, 0.8, 0.0], "each of the 4 active models", "got 3"),
    ("cascading.thresholds", [0.9] * 4 + [0.0], "each of the 4 active models", "got 5"),
    ("cascading.thresholds", [0.9, 0.8, 0.7, 0.1], "the last of them 0.0", "0.1"),
    ("cascading.thresholds", [0.9, 1.8, 0.7, 0.0], "cascading.thresholds", "got 1.8"),
    ("cascading.thresholds", [0.9, -0.1, 0.7, 0.0], "cascading.thresholds", "got -0.1"),
    ("cascading.thresholds", [0.9, float("nan"), 0.7, 0.0], "cascading.thresholds", "got nan"),
    ("cascading.thresholds", [0.9, float("inf"), 0.7, 0.0], "cascading.thresholds", "got inf"),
    ("cascading.thresholds", [0.9, "0.8", 0.7, 0.0], "cascading.thresholds", "got '0.8'"),
    ("cascading.thresholds", [0.9, True, 0.7, 0.0], "cascading.thresholds", "got True"),
    ("cascading.thresholds", "agressive", "aggressive, balanced, conservative", "'agressive'"),
    ("cascading.thresholds", 0.5, "must be a list", "got 0.5"),
    ("cascading.thresholds", [], "each of the 4 active models", "got 0"),
    ("cascading.active_models", [], "cascading.active_models", "at least one model"),
    ("cascading.active_models", ["tiny", "tiny", "large", "extra"], "once", "repeats tiny"),
    ("cascading.active_models", ["tiny", "huge", "large", "extra"], "of the pool", "got huge"),
    ("energy.batch_sizes", [1, 256, 256], "energy.batch_sizes", "each batch size once"),
    ("router.price", "high", "router.price must be", "got 'high'"),
    ("router.pixels", "cubed", "router.pixels", "'cubed'"),
    ("pool", ["tiny", "huge"], "pool must name models that have a section", "got huge"),
    ("pool", ["tiny", "medium", "large"], "models must hold no section", "got slim"),
    ("pool", [], "pool", "at least one model"),
    ("pool", ["tiny", "tiny"], "pool", "repeats tiny"),
    ("models.router", {"kind": "decision_tree", "max_leaf_nodes": 3}, "models.router", "'router'"),
    ("cascading.presets", {"mine": [0.5, 0.5]}, "preset mine", "must end in 0.0"),
    ("cascading.presets", {"mine": [1.5, 0.0]}, "cascading.presets.mine", "1.5"),
    ("models.tiny", None, "pool must name models that have a section", "got tiny"),
    ("models", None, "models is missing", ""),
    ("models.tiny", {"kind": "tree"}, "models.tiny.kind", "decision_tree"),
    ("models.tiny.max_leaf_nodes", "x", "models.tiny.max_leaf_nodes", "got 'x'"),
    ("models.tiny.depth", 3, "models.tiny.depth", "not a setting"),
    ("models.large.units", [], "models.large.units", "[]"),
    ("models.Big", {"kind": "decision_tree", "max_leaf_nodes": 3}, "models.Big", "'Big'"),
    ("energy.batch_size", 7, "energy.batch_size", "got 7"),
    ("energy.country", "France", "energy.country", "'France'"),
    ("energy.watts_per_core", -4.0, "energy.watts_per_core", "got -4.0"),
    ("energy.mode", "process", "energy.mode", "'process'"),
    ("oracle.none_correct", "first", "oracle.none_correct", "'first'"),
    ("seed", -1, "seed", "got -1"),
    ("seed", 1.5, "seed", "got 1.5"),
    ("models.extra.targets", "soft", "models.extra.targets must be hard", "got soft"),
    ("models.tiny.targets", "soft", "models.tiny.targets", "'soft'"),
    ("models.large.targets", "labels", "models.large.targets", "'labels'"),
    ("distillation.weight", 0.0, "distillation.weight", "got 0.0"),
    ("models.tiny.kind", ["mlp"], "models.tiny", "kind"),
    ("models.narrow.small_epochs", 3, "models.narrow", "small_epochs 0 with stem folded"),
    ("models.extra.small_epochs", 99, "models.extra", "small_epochs below its"),
    ("data.name", "mnist", "data.name must be fashion-mnist or digits", "'mnist'"),
    ("data.name", "My Data", "data.name", "'My Data'"),
    ("quantized", ["tiny"], "quantized must name models of the pool that aren't trees", "got tiny"),
    ("quantized", ["huge"], "quantized must name", "got huge"),
    ("energy.drift", 1.0, "energy.drift", "got 1.0"),
    ("models.extra.strides", [1], "models.extra", "strides"),
    ("models.shallow.strides", [1], "models.shallow", "strides"),
    (
        "models.more",
        {"kind": "decision_tree", "targets": "hard", "max_leaf_nodes": 3},
        "models must hold no section",
        "got more",
    ),
    ("data.shares.tuning", 1.0, "data.shares.tuning", "got 1.0"),
    ("data.shares.tuning", 0.8, "data.shares must leave", "0.05 + 0.8 + 0.07"),
    ("calibration.method", "platt", "calibration.method", "'platt'"),
    ("cascading.confidence", "softmax", "cascading.confidence", "'softmax'"),
    ("cascading.presets", {"tuned": [0.5, 0.0]}, "cascading.presets", "tuned"),
    ("cascading.presets", {"router": [0.5, 0.0]}, "cascading.presets", "router"),
    ("router.probe", "huge", "router.probe must name a model of the pool", "got huge"),
    ("router.probe", "extra", "before the last", "got extra"),
    ("router.price", -1.0, "router.price", "-1.0"),
    ("tuning.target", "energy", "tuning.target", "'energy'"),
    ("tuning.max_accuracy_loss", -0.5, "tuning.max_accuracy_loss", "got -0.5"),
    ("tuning.energy_budget", 0.0, "tuning.energy_budget", "got 0.0"),
    ("certification.max_harm", 0.0, "certification.max_harm", "got 0.0"),
    ("certification.delta", 1.0, "certification.delta", "got 1.0"),
    ("certification.resplits", 10, "certification.resplits", "got 10"),
]


@pytest.mark.parametrize(("path", "value", "named", "told"), REFUSED)
def test_what_is_wrong_is_named_and_so_is_the_way_back(changed, path, value, named, told):
    with pytest.raises(ParamsError) as refusal:
        load(changed(path, value))
    message = str(refusal.value)
    assert named in message
    assert told in message
    assert "git checkout" in message
    assert "pydantic" not in message


def test_every_mistake_is_listed_at_once(changed):
    path = changed("seed", -1)
    path.write_text(path.read_text().replace("none_correct: last", "none_correct: first"))
    with pytest.raises(ParamsError, match=r"(?s)seed.*oracle\.none_correct"):
        load(path)


def test_a_model_outside_the_pool_is_named():
    with pytest.raises(ParamsError, match="foo is not a model of the pool"):
        load(REPOSITORY / "params.yaml").model("foo")


@pytest.mark.parametrize("content", ["", "a: [1", "- 1", "\0", "a: 1\na: 2", "a: 2024-13-45"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match="git checkout"):
        load(path)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match="top of the repository"):
        load(tmp_path / "params.yaml")
