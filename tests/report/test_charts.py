"""The static pictures and DVC's own plots."""

import io
import itertools
import json
import re

import numpy as np
import pytest
import vl_convert
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from eco.report import charts
from eco.report.labels import label_ends, place_labels
from eco.report.style import STYLE, model_colours
from tests.conftest import REPOSITORY

TEMPLATES = sorted((REPOSITORY / ".dvc/plots").glob("*.json"))


def pool_of(n_models):
    return [f"m_{i}" for i in range(n_models)]


def rows_of(name, n_models):
    """Rows of a picture for a pool of any size, with what may be missing left out."""
    pool = pool_of(n_models)
    shares = np.geomspace(0.01, 1, n_models)
    bounds = ("accuracy_low", "accuracy_high", "energy_share_low", "energy_share_high")
    return {
        "accuracy_energy": [
            {"strategy": "model", "name": m, "label": m, "accuracy": 0.8, "energy_share": share}
            | dict.fromkeys(bounds[:2], 0.8) | dict.fromkeys(bounds[2:], share)
            for m, share in zip(pool, shares, strict=True)
        ] + [{"strategy": "random mixing", "name": "", "accuracy": 0.8, "energy_share": s}
             for s in shares],
        "shares": [
            {"point": p, "model": m, "place": i, "share": float(i == 0),
             "accuracy": None if i else 0.5}
            for p in ("one_strategy", "other") for i, m in enumerate(pool)
        ],
        "energy": [
            {"name": m, "batch_size": n, "energy_j": 1e-6 / n, "energy_j_low": 1e-6 / n,
             "energy_j_high": 2e-6 / n}
            for m in (*pool, "router") for n in (1, 256)
        ],
        "reliability": [
            {"model": m, "when": when, "confidence": 0.9, "accuracy": 0.8, "samples": 3}
            for m in pool for when in ("before", "after")
        ],
        "violations": [
            {"of": of, "strategy": "price_router", "max_points": x, "violation_rate": 0.0,
             "delta": 0.05}
            for of in ("loss", "harm") for x in (0.5, 1.0)
        ],
        "targets": [
            {"target": "max_accuracy_loss", "limit": x, "margin_se": margin,
             "accuracy_loss_points": x + 0.2, "accuracy_loss_points_low": x,
             "accuracy_loss_points_high": x + 0.5}
            for x in (0.0, 0.5) for margin in (0.0, 1.0)
        ],
        "training_curves": [
            {"model": m, "epoch": 1, "split": split, "accuracy": 0.9}
            for m in pool for split in ("train", "held out")
        ],
    }[name]  # fmt: skip


class TestDraw:
    @pytest.mark.slow
    @pytest.mark.parametrize("n_models", [2, 10])
    @pytest.mark.parametrize("name", charts.PICTURES)
    def test_any_pool_can_be_drawn(self, name, n_models):
        png = charts.draw(name, rows_of(name, n_models), pool_of(n_models))
        with Image.open(io.BytesIO(png)) as image:
            assert min(image.size) > 300
            assert len(image.getcolors()) > 10

    @pytest.mark.parametrize("kind", ["png", "pdf"])
    def test_the_same_rows_give_the_same_bytes(self, kind):
        rows, pool = rows_of("energy", 3), pool_of(3)
        assert charts.draw("energy", rows, pool, kind) == charts.draw("energy", rows, pool, kind)

    def test_pictures_are_small_enough_for_git(self):
        for path in (REPOSITORY / "plots").glob("*.png"):
            assert path.stat().st_size < 150_000


class TestLabels:
    def overlaps(self, boxes):
        return any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))

    def boxes(self, figure, axes):
        figure.draw_without_rendering()
        return [text.get_window_extent() for text in axes.texts]

    def test_labels_of_points_that_coincide_do_not_overlap(self):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "o")
        labels = [(0.5, 0.5 + 0.01 * i, f"label {i}", (0, 0, 0)) for i in range(8)]
        place_labels(axes, labels)
        assert len(self.boxes(figure, axes)) == 8
        # Lines that lead to points may cross.
        assert not self.overlaps(map(Text.get_window_extent, axes.texts))

    def test_a_label_makes_room_for_a_later_one_and_keeps_off_markers(self):
        figure = Figure((7, 5), dpi=100, layout="constrained")
        axes = figure.subplots()
        x, y = np.random.default_rng(3).uniform(0.3, 0.7, (2, 14))
        axes.plot(x, y, "o")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        place_labels(axes, [(*at, "a label", (0, 0, 0)) for at in zip(x, y, strict=True)])
        self.boxes(figure, axes)
        boxes = list(map(Text.get_window_extent, axes.texts))
        assert not self.overlaps(boxes)
        for at in axes.transData.transform(np.column_stack([x, y])):
            assert not any(box.padded(3).contains(*at) for box in boxes)

    def test_labels_of_lines_that_end_together_do_not_overlap(self):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        label_ends(axes, [(1, 1 - 0.001 * i, f"line {i}", (0, 0, 0)) for i in range(6)])
        boxes = self.boxes(figure, axes)
        assert len(boxes) == 6
        assert not self.overlaps(boxes)


class TestStyle:
    def test_the_last_model_has_a_colour_of_its_own(self):
        for n_models in (2, 5, 12):
            colours = model_colours(pool_of(n_models))
            assert len(colours) == n_models
            assert colours.count(colours[-1]) == 1

    def test_dvc_draws_in_the_same_colours(self):
        ours = set(re.findall(r"#\w{6}", json.dumps(STYLE)))
        for path in TEMPLATES:
            assert set(re.findall(r"#\w{6}", path.read_text())) <= ours, path

    @pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
    def test_dvc_can_draw_what_the_pipeline_writes(self, path):
        name, x, y = {
            "confusion_counts": ("confusion", "predicted", "actual"),
            "energy": ("energy", "batch_size", "energy_j"),
            "pareto": ("accuracy_energy", "energy_share", "accuracy"),
            "reliability": ("reliability", "confidence", "accuracy"),
            "shares": ("shares", "share", "point"),
            "training": ("training", "epoch", "accuracy"),
            "violations": ("violations", "max_points", "violation_rate"),
        }[path.stem]
        rows = json.loads((REPOSITORY / f"plots/{name}.json").read_text())
        text = path.read_text().replace(
            '"<DVC_METRIC_DATA>"', json.dumps([{"rev": "a"} | r for r in rows])
        )
        for anchor, value in {"X": x, "Y": y, "X_LABEL": x, "Y_LABEL": y, "TITLE": "title"}.items():
            text = text.replace(f"<DVC_METRIC_{anchor}>", value)
        assert "<DVC" not in text
        svg = vl_convert.vegalite_to_svg(json.loads(text))
        assert svg.count("<path") > 10
