"""Files of predictions: every form holds the same, and what is wrong is found where it stands."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from eco.errors import DataError, FileError
from eco.predictions import files
from eco.predictions.columns import checked
from eco.predictions.division import SPLITS, divide
from tests.predictions.pools import CLASSES, COSTS, MODELS, long, probabilities, wide


def written(folder, frame, suffix=".csv"):
    path = folder / f"predictions{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    return path


def loaded(path, costs=None):
    return checked(files.read(path, costs))


def refused(path, costs=None):
    with pytest.raises((DataError, FileError)) as caught:
        loaded(path, costs)
    assert str(path) in str(caught.value)
    return str(caught.value)


def arrays(**changed):
    y, p = probabilities()
    content = {"probabilities": p, "y": y, "classes": CLASSES, "models": MODELS}
    return content | {"costs": list(COSTS.values())} | changed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("correct:mid", "must give each column another name; got 'correct:small' twice"),
        ("confidence:mid", "must give each column another name; got 'confidence:small' twice"),
        ("group", "must give each column another name; got 'time' twice"),
    ],
)
def test_columns_with_the_same_name(tmp_path, name, message):
    """Which pandas would read by another name."""
    path = written(tmp_path, wide().assign(group=1, time=1))
    first, rest = path.read_text().split("\n", 1)
    other = {"group": "time"}.get(name, name.replace("mid", "small"))
    path.write_text(f"{first.replace(name, other)}\n{rest}")
    assert message in refused(path)
    path.write_text(f"{first},note,note\n" + rest.replace("\n", ",x,y\n"))
    loaded(path)


def test_a_row_with_more_cells_than_columns(tmp_path):
    """Of which pandas would take the first for the name of the row."""
    path = written(tmp_path, wide())
    first, rest = path.read_text().split("\n", 1)
    path.write_text(first + "\n" + rest.replace("\n", ",1\n"))
    assert "a row has more cells than the first line has" in refused(path)


def test_an_index_with_a_name_is_a_column(tmp_path):
    group = np.arange(len(wide())) // 7
    samples = loaded(written(tmp_path, wide().set_index(pd.Index(group, name="group")), ".parquet"))
    assert pd.factorize(samples.groups)[0].tolist() == group.tolist()


@pytest.mark.parametrize(
    ("flags", "message"), [({"flag_bits": 1}, "encrypted"), ({"compress_type": 99}, "compression")]
)
def test_archives_that_can_not_be_opened(tmp_path, flags, message):
    path = tmp_path / "predictions.npz"
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    for start, shift in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        shift += 2 * ("compress_type" in flags)
        place = content.find(start)
        while place >= 0:
            content[place + shift] = next(iter(flags.values()))
            place = content.find(start, place + 1)
    path.write_bytes(content)
    assert "must be an .npz without pickled objects" in refused(path)
    assert message in refused(path)


def test_what_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "predictions.npz", "w") as archive:
        archive.writestr("models", "small")
    assert "models is no array" in refused(tmp_path / "predictions.npz")


def test_names_may_be_bytes(tmp_path):
    np.savez(tmp_path / "predictions.npz", **arrays(models=np.array(MODELS, "S")))
    assert loaded(tmp_path / "predictions.npz").outcomes.pool == MODELS


@pytest.mark.parametrize("kind", ["complex", "M8[s]"])
def test_numbers_that_are_none(tmp_path, kind):
    content = arrays()
    content["probabilities"] = content["probabilities"].astype("i8").astype(kind)
    np.savez(tmp_path / "predictions.npz", **content)
    assert "must hold numbers; got" in refused(tmp_path / "predictions.npz")


@pytest.mark.parametrize("kind", ["confidence", "probabilities"])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_wide_and_long_tables_hold_the_same(tmp_path, kind, suffix):
    one = loaded(written(tmp_path, wide(kind), suffix)).outcomes
    frame = long(kind)
    other = loaded(written(tmp_path, frame, suffix)).outcomes
    order = frame["id"].unique()
    rows = [int(name[1:]) for name in order]
    assert one.pool == other.pool == MODELS
    assert one.energy_j.tolist() == other.energy_j.tolist() == list(COSTS.values())
    np.testing.assert_array_equal(one.confidence[rows], other.confidence)
    np.testing.assert_array_equal(one.correct[rows], other.correct)


def test_arrays_hold_what_a_table_holds(tmp_path):
    np.savez(tmp_path / "predictions.npz", **arrays())
    one = loaded(tmp_path / "predictions.npz")
    other = loaded(written(tmp_path, wide("probabilities")))
    assert one.classes == other.classes == CLASSES
    np.testing.assert_array_equal(one.outcomes.confidence, other.outcomes.confidence)
    np.testing.assert_array_equal(one.outcomes.labels, other.outcomes.labels)


def test_given_costs_name_the_pool_and_its_order(tmp_path):
    for frame in (wide(), long()):
        path = written(tmp_path, frame)
        outcomes = loaded(path, {"large": 2.0, "small": 3.0}).outcomes
        assert outcomes.pool == ("large", "small")
        assert outcomes.energy_j.tolist() == [2.0, 3.0]
        assert "holds no model huge; there are: small, mid, large" in refused(path, {"huge": 1.0})


def test_costs_of_each_sample_stay_with_it(tmp_path):
    frame = wide()
    frame["cost:mid"] = np.arange(len(frame)) + 1.0
    samples = loaded(written(tmp_path, frame))
    assert samples.outcomes.energy_j[1] == frame["cost:mid"].mean()
    assert samples.cost_per_sample[7].tolist() == [1.0, 8.0, 20.0]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("confidence:mid", 1.5, "confidence:mid, line 7: must lie from 0 to 1; got 1.5"),
        ("confidence:mid", "high", "confidence:mid, line 7: must hold a number in every row; got "),
        ("confidence:mid", None, "line 7: must hold a number in every row; got nothing"),
        ("correct:small", 2, "correct:small, line 7: must be 1 or 0, true or false; got 2"),
        ("cost:large", 1e300, "cost:large, line 7: must be from 0 to 1e+100; got 1e+300"),
        ("cost:large", -3.0, "cost:large, line 7: must be from 0 to 1e+100; got -3"),
        ("cost:large", None, "cost:large, line 7: must hold a number in every row; got nothing"),
        ("id", "q1", "line 7: each may stand once; got id q1 again"),
    ],
)
def test_a_bad_value_of_a_table_is_found(tmp_path, column, value, message):
    frame = wide()
    frame[column] = frame[column].astype(object)
    frame.loc[5, column] = value
    assert message in refused(written(tmp_path, frame))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("p:small:dog", 0.99, "probabilities:small, line 7: must sum to 1 over the classes; got"),
        ("p:small:dog", -0.2, "probabilities:small, line 7: must be 0 or more; got -0.2"),
        ("y", "yak", "y, line 7: must be one of the classes (cat, dog, emu); got yak"),
        ("y", None, "y, line 7: must hold a value in every row; got nothing"),
    ],
)
def test_a_bad_value_of_probabilities_is_found(tmp_path, column, value, message):
    frame = wide("probabilities")
    frame.loc[5, [column]] = value
    if column != "y":
        frame.loc[5, ["p:small:cat", "p:small:emu"]] = (0.9, 1 - 0.9 - min(value, 0))
    assert message in refused(written(tmp_path, frame))


def test_a_long_table_names_line_id_and_model(tmp_path):
    frame = long(split="test")
    row = frame.index[(frame["id"] == "q17") & (frame["model"] == "mid")][0]
    bad = frame.copy()
    bad.loc[row, "confidence"] = 7
    assert f"confidence:mid, line {row + 2} (id q17): must lie" in refused(written(tmp_path, bad))
    twice = pd.concat([frame, frame.loc[[row]]], ignore_index=True)
    assert "each may stand once; got id q17, model mid again" in refused(written(tmp_path, twice))
    lacking = refused(written(tmp_path, frame.drop(row)))
    assert "a row of every model for every id; got none of model mid for id q17" in lacking
    bad = frame.copy()
    bad.loc[row, "split"] = "tuning"
    assert "split, " in (text := refused(written(tmp_path, bad)))
    assert "must be the same in every row; got test and tuning" in text


def test_a_model_that_is_absent_in_a_split_is_named_with_it(tmp_path):
    split = np.where(np.arange(240) < 100, "tuning", "test")
    frame = long(split=split)
    gone = (frame["model"] == "mid") & (frame["split"] == "test")
    text = refused(written(tmp_path, frame[~gone]))
    assert "must hold every model in every split; got no mid in test" in text
    frame = wide(split=split)
    frame.loc[split == "test", "confidence:mid"] = None
    text = refused(written(tmp_path, frame))
    assert "confidence:mid: must hold predictions in every split; got none in test" in text


def test_missing_columns_and_costs_are_named(tmp_path):
    frame = wide()
    lacking = refused(written(tmp_path, frame.drop(columns="correct:mid")))
    assert "correct:mid: must be there for every model" in lacking
    text = refused(written(tmp_path, frame.drop(columns="cost:mid")))
    assert "must hold a cost of every model; got none of mid" in text
    assert "--cost NAME=NUMBER" in text
    text = refused(written(tmp_path, wide("probabilities").drop(columns="p:mid:emu")))
    assert "must have the column p:mid:emu" in text
    assert "must have columns such as confidence:MODEL" in refused(written(tmp_path, frame[["id"]]))
    assert "must have a column id" in refused(written(tmp_path, long().drop(columns="id")))
    assert "must hold a row for each sample" in refused(written(tmp_path, frame[:0]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": MODELS[:2]}, "then a model for each of the 2 names in models"),
        ({"models": ("a", "b", "a")}, "models must name each once; got a twice"),
        ({"costs": [1.0, 2.0]}, "costs must hold a number for each of the 3 models"),
        ({"costs": [0.0, 2.0, 3.0]}, "cost:small: must be 1e-100 or more on average; got 0"),
        ({"y": np.zeros(7, int)}, "y: must hold one value for each of the 240 samples"),
        ({"classes": ("cat", "dog")}, "must name each of the 3 classes once"),
        ({"id": ["q"] * 240}, "id must name each once; got q twice, in rows 0 and 1"),
        ({"classes": np.array(3)}, "classes must have one axis; got ()"),
        ({"y": np.array([{}] * 240)}, "must be an .npz without pickled objects"),
    ],
)
def test_bad_arrays_are_found(tmp_path, changed, message):
    np.savez(tmp_path / "predictions.npz", **arrays(**changed))
    assert message in refused(tmp_path / "predictions.npz")


def test_rows_of_a_parquet_file_count_whatever_its_index(tmp_path):
    frame = long()
    later = frame.set_index(np.arange(len(frame)) + 1000)
    one, other = (loaded(written(tmp_path, each, ".parquet")) for each in (frame, later))
    np.testing.assert_array_equal(one.outcomes.confidence, other.outcomes.confidence)


@pytest.mark.parametrize("name", ["predictions.npz", "predictions.csv", "predictions.parquet"])
def test_a_file_that_is_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\x01\x02" * 50)
    assert "must" in refused(tmp_path / name) or "can't be read" in refused(tmp_path / name)
    assert "there is none" in refused(tmp_path / name.replace("predictions", "none"))
    assert "must end in one of .npz, .csv, .parquet" in refused(tmp_path / "x.xlsx")


def test_times_are_read_from_every_form(tmp_path):
    days = np.random.default_rng(0).permutation(240)
    dates = (np.datetime64("2026-01-01") + days).astype(str)
    np.savez(tmp_path / "predictions.npz", **arrays(time=days))
    assert loaded(tmp_path / "predictions.npz").times.tolist() == days.tolist()
    for suffix in (".csv", ".parquet"):
        for time in (days, dates):
            path = written(tmp_path, wide(time=time), suffix)
            assert loaded(path).times.tolist() == days.tolist()
    frame = long(time=dates)
    rows = [int(name[1:]) for name in frame["id"].unique()]
    assert loaded(written(tmp_path, frame)).times.tolist() == days[rows].tolist()
    frame.loc[7, "time"] = "later"
    assert "time, line" in refused(written(tmp_path, frame))
    frame = wide(time=dates)
    frame.loc[5, "time"] = "31.1.2026"
    message = refused(written(tmp_path, frame))
    assert "time, line 7: must hold a number or a date such as 2026-01-31" in message
    assert "got '31.1.2026'" in message


def with_column(folder, kind, name, values):
    """A file of any kind with one more array or column."""
    path = folder / f"predictions.{kind.split()[-1]}"
    if kind == "npz":
        np.savez(path, **arrays(**{name: values}))
        return path
    frame = long(**{name: values}) if kind.startswith("long") else wide(**{name: values})
    return written(folder, frame, path.suffix)


KINDS = ("npz", "wide csv", "long csv", "wide parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_read_by_both_names(tmp_path, kind):
    groups = [f"{i // 5:03}" for i in range(240)]
    one, other = (
        loaded(with_column(tmp_path, kind, name, groups)).groups.tolist()
        for name in ("group", "groups")
    )
    assert one == other
    assert len(set(one)) == 48


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Groups", "group"),
        ("times", "time"),
        ("Time", "time"),
        (" time", "time"),
        ("splits", "split"),
        ("ids", "id"),
        ("Y", "y"),
    ],
)
def test_a_name_that_is_nearly_one_that_is_read_is_refused(tmp_path, kind, name, meant):
    text = refused(with_column(tmp_path, kind, name, np.arange(240)))
    assert f"{name!r} is not read; what is read is called {meant!r}" in text


def test_other_near_misses(tmp_path):
    frame = wide()
    for old, new, meant in [
        ("confidence:mid", "Confidence:mid", "confidence:"),
        ("cost:mid", "costs:mid", "cost:"),
    ]:
        text = refused(written(tmp_path, frame.rename(columns={old: new})))
        assert f"{new!r} is not read; what is read is called {meant!r}" in text
    text = refused(written(tmp_path, long().rename(columns={"model": "Model"})))
    assert "'Model' is not read; what is read is called 'model'" in text
    text = refused(written(tmp_path, wide(group=0, groups=1)))
    assert "'groups' is not read; what is read is called 'group'" in text
    content = arrays()
    np.savez(tmp_path / "predictions.npz", cost=content.pop("costs"), **content)
    assert "'cost' is not read" in refused(tmp_path / "predictions.npz")


@pytest.mark.parametrize("frame", [wide(), long(), wide("probabilities")])
def test_columns_of_no_known_kind_are_ignored(tmp_path, frame):
    expected = loaded(written(tmp_path, frame)).outcomes
    more = frame.assign(**{"latency:mid:ms": 3, "note: y": "a", "timestamp": 7})
    more.to_csv(tmp_path / "more.csv")  # with an index, which has no name
    found = loaded(tmp_path / "more.csv").outcomes
    assert found.pool == expected.pool
    np.testing.assert_array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize("kind", ["confidence", "probabilities"])
def test_names_of_models_hold_colons(tmp_path, kind):
    frame = wide(kind)
    frame.columns = [name.replace("mid", "llama3:8b") for name in frame]
    expected = loaded(written(tmp_path, wide(kind))).outcomes
    found = loaded(written(tmp_path, frame)).outcomes
    assert found.pool == ("small", "llama3:8b", "large")
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    np.testing.assert_array_equal(found.energy_j, expected.energy_j)
    text = refused(written(tmp_path, frame.assign(**{"p:mini": 0.5})))
    assert "must name it, as p:MODEL:CLASS does; got p:mini" in text


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("frame", [wide(), long()])
def test_another_separator_than_a_comma_is_named(tmp_path, separator, frame):
    frame.to_csv(tmp_path / "predictions.csv", sep=separator, index=False)
    text = refused(tmp_path / "predictions.csv")
    assert "must have commas between its columns; got" in text


def test_what_divides_wrongly_is_named_by_its_line(tmp_path):
    split = np.repeat(SPLITS, 80)
    groups = [*range(85), 7, *range(86, 240)]
    for columns, message in [
        ({"groups": groups}, "line 87 is in certification, another one of its group in tuning"),
        ({"time": groups}, "certification begins, in line 87, before tuning ends"),
    ]:
        samples = loaded(written(tmp_path, wide(split=split, **columns)))
        with pytest.raises(DataError, match=message):
            divide(samples, SPLITS, (1, 1, 1), 0)
