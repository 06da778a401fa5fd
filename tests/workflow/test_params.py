import copy
import re
import sys
from pathlib import Path

import pytest
import yaml

from eco.errors import ParamsError
from eco.models.settings import OwnSettings, kinds, settings_class
from eco.workflow.countries import known_countries
from eco.workflow.params import load
from eco.workflow.schema import Params
from tests.conftest import REPOSITORY

COMMITTED = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


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
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
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


@pytest.fixture
def rewritten(tmp_path):
    def write(pattern: str, line: str) -> Path:
        text = (REPOSITORY / "params.yaml").read_text()
        (tmp_path / "params.yaml").write_text(re.sub(pattern, line, text))
        return tmp_path / "params.yaml"

    return write


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-05", 1e-5), ("1E-5", 1e-5), ("1.5e-3", 1.5e-3), (".003", 0.003), ("+3.e-3", 0.003)],
)
def test_numbers_are_read_as_dvc_writes_them(rewritten, written, value):
    path = rewritten(r"learning_rate: .*", f"learning_rate: {written}")
    assert load(path).models["large"].learning_rate == value


@pytest.mark.parametrize("written", ["yes", "on", "y", "'true'", "1"])
def test_only_true_and_false_are_booleans(rewritten, written):
    with pytest.raises(ParamsError, match=r"distillation\.mirror"):
        load(rewritten(r"  mirror: true", f"  mirror: {written}"))


@pytest.mark.parametrize("written", ["1:30", "010", "1_000", "0b11", "'42'"])
def test_integers_are_those_of_yaml_1_2(rewritten, written):
    with pytest.raises(ParamsError, match=r"seed|readable YAML"):
        load(rewritten(r"seed: .*", f"seed: {written}"))


def test_every_setting_is_described():
    sections = [Params, *map(settings_class, kinds())]
    for section in sections:
        for name, field in section.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                sections.append(field.annotation)
            else:
                assert len(field.description) > 5, f"{section.__name__}.{name}"


REFUSED = [
    ("cascading.treshold", 1, "cascading.treshold", "did you mean cascading.thresholds?"),
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
    ("cascading.active_models", [], "cascading.active_models", "at least one"),
    ("cascading.active_models", ["tiny", "tiny", "large", "extra"], "each once", "tiny"),
    ("cascading.active_models", ["tiny", "huge", "large", "extra"], "of the pool", "got huge"),
    ("energy.batch_sizes", [1, 256, 256], "energy.batch_sizes", "each once"),
    ("router.price", "high", "router.price must be", "got 'high'"),
    ("router.pixels", "cubed", "router.pixels", "'cubed'"),
    ("pool", ["tiny", "huge"], "pool must name models that have a section", "got huge"),
    ("pool", ["tiny", "medium", "large"], "models must hold no section", "got slim"),
    ("pool", [], "pool", "at least one"),
    ("pool", ["tiny", "tiny"], "pool", "each once"),
    ("models.router", {"kind": "decision_tree", "max_leaf_nodes": 3}, "models.router", "'router'"),
    ("cascading.presets", {"mine": [0.5, 0.5]}, "cascading.presets.mine", "must end in 0.0"),
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
    ("energy.country", "FRA\n", "energy.country", "'FRA\\n'"),
    ("energy.country", "GER", "did you mean DEU for Germany", "codes in CodeCarbon's"),
    ("energy.country", "france", "did you mean FRA for France", "got 'france'"),
    ("energy.country", "XQZ", "such as FRA, USA or IND", "got 'XQZ'"),
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
    ("data.name", "mnist", "data.name must be fashion-mnist or digits", "'mnist'"),
    ("data.name", "My Data", "data.name", "'My Data'"),
    ("data.kind", "audio", "data.kind must be 'images', 'table' or 'text'", "got 'audio'"),
    ("data.kind", "table", "data.kind must be images, as fashion-mnist are", "got table"),
    ("data.target", "", "data.target", "got ''"),
    ("data.time", "day", "data.time must be '', as fashion-mnist have no columns", "columns"),
    ("data.words", 0, "data.words must be at least 1", "got 0"),
    ("data.length", 20_000, "data.length must be at most 10000", "got 20000"),
    ("quantized", ["tiny"], "quantized must name models of the pool that aren't trees", "got tiny"),
    ("quantized", ["huge"], "quantized must name", "got huge"),
    ("energy.drift", 1.0, "energy.drift", "got 1.0"),
    ("models.extra.strides", [1], "models.extra", "strides"),
    ("models.compact.strides", [1], "models.compact.strides must hold", "2 filters; got [1]"),
    ("models.large.units", [64, 0], "models.large.units.1 must be at least 1", "got 0"),
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
    ("cascading.presets", {"x" * 300: [0.5, 0.0]}, "cascading.presets", "at most 40 letters"),
    ("cascading.presets", {"a\nb": [0.5, 0.0]}, "cascading.presets", "must match"),
    ("router.probe", "huge", "router.probe must name another model than the last", "got huge"),
    ("router.probe", "extra", "router.probe must name another model", "got extra"),
    ("router.price", -1.0, "router.price", "-1.0"),
    ("tuning.candidates", ["huge"], "tuning.candidates must name models", "got huge"),
    ("tuning.candidates", ["slim"], "tuning.candidates must name extra", "got ['slim']"),
    ("tuning.target", "energy", "tuning.target", "'energy'"),
    ("tuning.max_accuracy_loss", -0.5, "tuning.max_accuracy_loss", "got -0.5"),
    ("tuning.energy_budget", 0.0, "tuning.energy_budget", "got 0.0"),
    ("certification.of", "accuracy", "certification.of", "got 'accuracy'"),
    ("certification.max_loss", 0.0, "certification.max_loss", "got 0.0"),
    ("certification.max_harm", 0.0, "certification.max_harm", "got 0.0"),
    ("tuning.energy_budget", 1.5, "tuning.energy_budget", "got 1.5"),
    ("certification.delta", 1.0, "certification.delta", "got 1.0"),
    ("certification.resplits", 10, "certification.resplits", "got 10"),
]


@pytest.mark.parametrize(("path", "value", "named", "detail"), REFUSED)
def test_what_is_wrong_is_named_and_so_is_the_way_back(changed, path, value, named, detail):
    with pytest.raises(ParamsError) as refusal:
        load(changed(path, value))
    message = str(refusal.value)
    assert named in message
    assert detail in message
    assert "make back" in message
    assert "pydantic" not in message


def test_without_codecarbon_a_country_is_three_letters(changed, monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    assert load(changed("energy.country", "XQZ")).energy.country == "XQZ"
    with pytest.raises(ParamsError, match=r"energy\.country must be an ISO .*; got 'Fr'"):
        load(changed("energy.country", "Fr"))


def test_countries_are_those_of_the_meter():
    source = pytest.importorskip("codecarbon.input").DataSource()
    assert known_countries().keys() == source.get_global_energy_mix_data().keys()


NAMES_OF_OTHERS = [
    "chosen", "tuned", "certified", "certified_loss", "certified_harm", "always tiny",
    "always_extra", "always_last", "router",
    "price_router", "probe_cascade", "price_router, certified", "price_router_certified",
    "tuned to lose 0.5", "tuned_to_lose_0_5", "tuned to keep 95 %", "oracle: last", "oracle",
    "single tolerance to lose 1", "always extra, as trained", "always_extra_as_trained",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES_OF_OTHERS)
def test_a_preset_can_not_have_the_name_of_another_strategy(changed, name):
    with pytest.raises(ParamsError, match=r"cascading\.presets"):
        load(changed("cascading.presets", {name: [0.9, 0.8, 0.7, 0.0]}))


@pytest.mark.parametrize("name", ["aggressive", "my-own_2", "tuned_by_hand", "tiny", "X"])
def test_a_preset_can_have_a_name_of_its_own(changed, name):
    thresholds = [0.9, 0.8, 0.7, 0.0]
    presets = load(changed("cascading.presets", {name: thresholds})).cascading.presets
    assert presets == {name: thresholds}


UNBOUNDED = [
    ("energy.threads", 10**30), ("energy.batch_sizes", [256, 10**12]),
    ("energy.watts_per_core", 1e308), ("energy.budget_s", 1e308),
    ("certification.resplits", 10**12), ("certification.max_harm", 1e-320),
    ("tuning.energy_budget", 1e308),
    ("router.price", 1e308), ("router.C", 1e308), ("router.max_iter", 10**15),
    ("router.hidden_units", 10**15),
    ("models.tiny.max_leaf_nodes", 10**30), ("models.slim.epochs", 10**30),
    ("models.slim.learning_rate", 1e5), ("models.slim.weight_decay", 1e300),
    ("models.slim.batch_size", 10**12), ("models.slim.max_shift", 10**9),
    ("models.slim.units", [8] * 1000), ("models.slim.units", [10**30]),
    ("models.small.C", 1e-320), ("models.medium.n_estimators", 10**30),
    ("models.compact.filters", [10**12, 5]), ("energy.batch_sizes", [*range(1, 300)]),
    ("pool", [f"m{i}" for i in range(300)]), ("data.path", "x" * 10**5), ("data.name", "x" * 300),
    ("models.slim.learning_rate", 10**90), ("pool", ["x" * 300]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), UNBOUNDED)
def test_every_setting_has_a_bound(changed, path, value):
    with pytest.raises(ParamsError) as refusal:
        load(changed(path, value))
    assert re.search(rf"{path}[.0-9]* (must|is|holds)", str(refusal.value))


HOSTILE = [
    ("seed: 42", 'seed: !!int ""', "seed is not what its tag says: ''"),
    ("mirror: true", "mirror: !!bool foo", "distillation.mirror is not what its tag says: 'foo'"),
    ("seed: 42", "seed: !!timestamp x", "readable YAML"),
    ("seed: 42", f"seed: {'[' * 500}{']' * 500}", "nests too deep"),
    ("seed: 42", "seed: &a [*a]", "seed.0"),
    ("seed: 42", "seed: 0x" + "f" * 5000, "seed must have at most"),
    ("path: ''", r'path: "a\0b"', "data.path holds a character"),
    ("path: ''", r'path: "a\ud800b"', "data.path holds a character"),
    ("path: ''", "path: a\0b", "readable YAML"),
    ("    max_iter: 200", "    max_iter: 200\n    max_iter: 3", "small.max_iter stands"),
    (
        "seed: 42",
        "\n".join(
            f"{name}: &{name} [{', '.join([before] * 9)}]"
            for before, name in zip(["x", "*a", "*b", "*c", "*d", "*e"], "abcdef", strict=True)
        ) + "\nseed: *f",
        "holds too much",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "named"), HOSTILE)
def test_hostile_yaml_is_refused_by_its_key(tmp_path, old, new, named):
    path = tmp_path / "params.yaml"
    path.write_text((REPOSITORY / "params.yaml").read_text().replace(old, new, 1))
    with pytest.raises(ParamsError) as refusal:
        load(path)
    message = str(refusal.value)
    assert named in message and len(message.replace(str(path), "params.yaml")) < 550


def test_a_setting_of_a_model_that_is_misspelt_is_named_in_full(changed):
    with pytest.raises(ParamsError, match=r"models\.slim\.unitz .* mean models\.slim\.units\?"):
        load(changed("models.slim.unitz", 5))


def test_the_settings_of_a_kind_without_a_schema_are_left_to_its_class():
    settings = OwnSettings.model_validate({"kind": "mlp", "targets": "soft", "depth": 3})
    assert settings.model_dump() == {"kind": "mlp", "targets": "soft", "depth": 3}


def test_every_mistake_is_listed_at_once(changed):
    path = changed("seed", -1)
    path.write_text(path.read_text().replace("none_correct: last", "none_correct: first"))
    with pytest.raises(ParamsError, match=r"(?s)seed.*oracle\.none_correct"):
        load(path)


@pytest.mark.parametrize(
    ("path", "value", "named", "detail"),
    [
        ("seed", "1" * 3000, "seed must be a whole number", "got '111"),
        ("cascading.thresholds", [0.5] * 3000, "cascading.thresholds must hold", "got 3000"),
        ("models", {f"m{i}": {} for i in range(300)}, "models.m0.kind is missing", "more"),
    ],
)
def test_messages_stay_short(changed, path, value, named, detail):
    file = changed(path, value)
    with pytest.raises(ParamsError) as refusal:
        load(file)
    message = str(refusal.value).replace(str(file), "params.yaml")
    assert named in message and detail in message
    assert len(message) < 550


def test_a_model_outside_the_pool_is_named():
    with pytest.raises(ParamsError, match="foo is not a model of the pool"):
        load(REPOSITORY / "params.yaml").model("foo")


@pytest.mark.parametrize("content", ["", "a: [1", "- 1", "\0", "a: 1\na: 2", "a: 2024-13-45"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParamsError, match="make back"):
        load(path)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ParamsError, match="top of a study"):
        load(tmp_path / "params.yaml")
