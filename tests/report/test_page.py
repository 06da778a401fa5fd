"""The page: what stands in it, and that its explorer counts as Python does, in a real browser."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from eco.report import explorer, page
from eco.report.study import strategy_of
from eco.strategies.certification import NotCertified
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import Strategy
from eco.strategies.tuning import for_loss
from eco.workflow import artifacts, params
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for
from tests.conftest import REPOSITORY, clone
from tests.report.studies import (
    NASTY,
    cascade,
    metered_row,
    outcomes,
    small_study,
    strategy_row,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
N_SAMPLES = {"tuning": 4800, "certification": 4200, "test": 90}


def rendered(study, class_names=("cat", "dog"), n_classes=2, shape=(8, 8), n_samples=90):
    """The page of a study of images, or of samples that have no shape of an image."""
    test = outcomes(len(study.settings.pool), n_classes, n_samples)
    images = np.random.default_rng(0).integers(
        256, size=(len(test), *(shape or ())), dtype=np.uint8
    )
    images, called = (dict(enumerate(images)), "images") if shape else ({}, "samples")
    return page.render(study, test, images, class_names, N_SAMPLES, called).decode()


class TestContent:
    def test_names_cannot_become_markup(self):
        study = small_study(
            dataset=NASTY,
            strategies=[strategy_row(NASTY), strategy_row(NASTY, strategy=cascade(["m1"], [0.0]))],
            metered=[metered_row(NASTY)],
            footprint={NASTY: {"break_even_predictions": 3, "pays": NASTY}},
            doctor={NASTY: NASTY},
            model_energy={NASTY: NASTY},
        )
        html = rendered(study, ["cat", NASTY])
        assert "<img src=x" not in html
        assert "&lt;/script&gt;" in html

    def test_what_was_not_found_is_said_with_the_reason(self):
        html = rendered(small_study(certified=NotCertified("loss", 0.5, 0.05, 400, 3)))
        assert "No tuned cascade" in html
        assert "No certified cascade: loss of at most 0.5 points" in html
        assert (
            "the certification split has 400, of which the safest setting harms 3 and gains 0"
            in html
        )
        assert "No cascade was found" in html
        html = rendered(small_study(strategies=[strategy_row("tuned", "tuned")]))
        assert "No tuned cascade" not in html
        assert "No certified cascade" not in html

    def test_the_page_speaks_of_the_tuned_cascade_if_there_is_one(self):
        rows = [strategy_row(), strategy_row("certified", "certified")]
        assert small_study(strategies=rows).headline["name"] == "certified"
        rows.append(strategy_row("tuned", "tuned"))
        assert small_study(strategies=rows).headline["name"] == "tuned"
        rule = strategy_row("rule", "single tolerance")
        assert small_study(strategies=[rule]).headline is None

    def test_the_headline_shows_what_was_realised_where_it_was_metered(self):
        assert "not metered" in rendered(small_study(strategies=[strategy_row()]))
        other = metered_row("other", cascade(thresholds=(0.8, 0.0)))
        study = small_study(strategies=[strategy_row()], metered=[other, metered_row()])
        html = rendered(study)
        for text in ("75.0%", "60.0%", "[55.0%, 65.0%]", "32 samples per call"):
            assert text in html

    def test_realised_figures_stand_in_a_table(self):
        html = rendered(small_study(metered=[metered_row()]))
        for cell in ("balanced", "32", "2 [1, 3]", "1.60", "0.4000 [0.3500, 0.4500]", "12,346"):
            assert f">{cell}<" in html
        assert "no strategy was metered" in rendered(small_study())

    def test_figures_to_be_read_with_care_are_counted(self):
        assert "wide interval, 4 of 4" in rendered(small_study())

    def test_equal_cascades_share_a_button(self):
        other, voting = cascade(thresholds=(0.8, 0.0)), Strategy("agreement", ("m0", "m1"))
        rows = [strategy_row(), strategy_row("same"), strategy_row("other", strategy=other)]
        rows.append(strategy_row("rule", "agreement voting", voting))
        settings = explorer.settings(rows, ["m0", "m1"])
        assert [setting["name"] for setting in settings] == ["balanced = same", "other"]
        assert settings[1]["chain"] == [0, 1]
        assert settings[1]["thresholds"] == [0.8, 0.0]

    def test_no_example_is_both_easy_and_hard(self):
        probabilities = np.array([[[0.9, 0.1]], [[0.8, 0.2]], [[0.7, 0.3]]], np.float32)
        y = np.zeros(3, int)
        test = Outcomes.from_probabilities(probabilities, y, np.ones(1), ["m"])
        images = dict.fromkeys(range(3), np.zeros((8, 8), np.uint8))
        (answered,) = page.examples(images, test, y, ["cat", "dog"])
        confidences = {
            title: [round(example["confidence"], 1) for example in shown]
            for title, shown in answered["examples"].items()
        }
        assert confidences == {
            "easy, right": [0.9, 0.8], "hard, right": [0.7], "easy, wrong": [], "hard, wrong": [],
        }  # fmt: skip
        assert answered["accuracy"] == 1

    def test_samples_that_are_no_images_are_not_shown(self):
        html = rendered(small_study(strategies=[strategy_row()]), shape=None)
        html = html[: html.index('<section id="settings">')]
        text = re.sub("<(script|style)>.*?</\\1>|<[^>]+>", " ", html, flags=re.DOTALL)
        assert "image" not in text and "Easy" not in text
        assert "90 test samples of 2 classes" in text
        assert 'class="kinds"' not in html
        assert "image of cat" in rendered(small_study(strategies=[strategy_row()]))

    def test_images_may_be_in_colour(self):
        assert "image of cat" in rendered(small_study(), shape=(8, 8, 3))

    def test_of_very_many_classes_a_few_are_named_and_drawn(self):
        names = [f"{'very ' * 15}long name {i}" for i in range(300)]
        html = rendered(small_study(), names, n_classes=300, n_samples=3000)
        assert f"300 classes ({', '.join(names[:20])} and 280 more)" in html
        assert re.search(r"20 of the \d+ in the test images", html)
        data = json.loads(re.search('id="data">(.*?)</script>', html).group(1))
        assert len({row["point"] for row in data["classes"]}) == 20
        assert len(html) - len(rendered(small_study(), n_samples=3000)) < 100_000

    def test_examples_are_of_the_images_that_there_are(self):
        probabilities = np.array([[[0.9, 0.1]], [[0.8, 0.2]], [[0.7, 0.3]]], np.float32)
        y = np.zeros(3, int)
        test = Outcomes.from_probabilities(probabilities, y, np.ones(1), ["m"])
        for there, shown in (({}, []), ({1: np.zeros((8, 8), np.uint8)}, [0.8])):
            (answered,) = page.examples(there, test, y, ["cat", "dog"])
            kinds = answered["examples"].values()
            assert [round(one["confidence"], 1) for kind in kinds for one in kind] == shown
            assert answered["share"] == 1


# ---- In a browser.


@pytest.fixture(scope="module")
def browser():
    reason = "playwright is not installed, so no browser can be driven: pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A clone of the committed results with the page that the stage makes of them."""
    folder = clone(tmp_path_factory.mktemp("report"))
    dataset = params.load(folder / "params.yaml").data.name
    if (REPOSITORY / "data/test.npz").exists():
        shutil.copy(REPOSITORY / "data/test.npz", folder / "data/test.npz")
    else:  # images are not in git, and none is needed to count
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            y = artifacts.LABELS.load(dataset=dataset).y["test"]
            X = np.random.default_rng(0).integers(256, size=(len(y), 28, 28), dtype=np.uint8)
            artifacts.SPLITS.save((X, y), split="test", dataset=dataset)
    command = [sys.executable, "-m", "stages.report"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


class Opened:
    """A page that is open in the browser, what it logged and what it asked the network for."""

    def __init__(self, browser, path, **options):
        self.page, self.logged, self.requests = browser.new_page(**options), [], []
        self.page.on("console", lambda message: self.logged.append(message.text))
        self.page.on("pageerror", lambda error: self.logged.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn=all]", state="attached")

    def text(self, query):
        return self.page.locator(query).inner_text()

    def numbers(self):
        return [self.text(f"#now-{name}") for name in ("accuracy", "lost", "share")]

    def set(self, chain, thresholds, n_models):
        for model in [*chain, *(m for m in range(n_models) if m not in chain)]:
            self.page.locator(f"[data-takes-part='{model}']").set_checked(model in chain)
        for model, threshold in zip(chain[:-1], thresholds, strict=False):
            self.page.locator(f"[data-number='{model}']").fill(str(threshold))


@pytest.fixture(scope="module")
def opened(browser, study):
    return Opened(browser, study / "plots/report.html", viewport={"width": 1280, "height": 900})


class Python:
    """The numbers that Python computes, as the page shows them."""

    def __init__(self):
        settings = params.load()
        self.outcomes = load_outcomes(settings, "test")
        self.pool = settings.pool
        self.frontiers = artifacts.FRONTIER.load(made_for=made_for(settings))
        self.strategies = artifacts.STRATEGY_ROWS.load()

    def numbers(self, chain, thresholds):
        models = tuple(self.pool[model] for model in chain)
        return self.of(Strategy("cascade", models, tuple(thresholds)))

    def of(self, strategy):
        test = self.outcomes
        decisions = decide(strategy, test)
        accuracy = decisions.correct(test).mean()
        lost = test.reference_accuracy - accuracy
        share = decisions.energy_j(test) / test.energy_j[-1]
        return [f"{accuracy:.2%}", f"{100 * lost:.2f}", f"{share:.2%}"]


@pytest.fixture(scope="module")
def python(study):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study)
        return Python()


@pytest.mark.slow
class TestPage:
    def test_it_is_small_and_needs_no_network(self, study, opened):
        assert (study / "plots/report.html").stat().st_size < 5_000_000
        assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.requests)
        assert opened.logged == []

    @pytest.mark.parametrize("width", [360, 390, 1280])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_nothing_sticks_out(self, browser, study, width, scheme):
        size = {"width": width, "height": 800}
        there = Opened(browser, study / "plots/report.html", viewport=size, color_scheme=scheme)
        assert there.page.evaluate("document.documentElement.scrollWidth") <= width
        there.page.locator("#theme").click()
        there.page.wait_for_selector("[data-picture=paid] svg", state="attached")
        assert there.logged == []
        there.page.close()

    def test_every_control_has_a_name(self, opened):
        nameless = opened.page.evaluate(
            "[...document.querySelectorAll('input, button, textarea')].filter("
            "e => !e.labels?.length && !e.ariaLabel && !e.textContent.trim()).length"
        )
        assert nameless == 0

    @pytest.mark.parametrize("n_models", [2, 10])
    def test_any_pool_and_any_names_will_do(self, browser, tmp_path, n_models):
        path = tmp_path / "report.html"
        html = rendered(small_study(n_models, NASTY), ["cat", NASTY, "_"], n_classes=3)
        path.write_text(html)
        there = Opened(browser, path)
        assert there.logged == []
        assert there.page.locator(".dial").count() == n_models
        assert there.page.locator("img[src=x]").count() == 0
        there.set(range(n_models), [0.5] * n_models, n_models)
        assert there.logged == []
        there.page.close()


@pytest.mark.slow
class TestExplorer:
    def test_confidences_survive_the_page(self, python):
        confidence = python.outcomes.confidence
        assert np.array_equal(np.rint(confidence * 10_000).astype("<u2") / 10_000, confidence)

    def test_buttons_show_what_the_metrics_say(self, opened, python):
        pressed = opened.page.locator("[data-setting]")
        rows = {row["name"]: row for row in python.strategies}
        for button in pressed.all():
            button.click()
            row = rows[button.inner_text().split(" = ")[0]]
            lost = f"{row['accuracy_loss_points']:.2f}"
            expected = [f"{row['accuracy']:.2%}", lost, f"{row['energy_share']:.2%}"]
            assert opened.numbers() == expected == python.of(strategy_of(row))
            assert button.get_attribute("aria-pressed") == "true"

    def test_thresholds_count_as_in_python(self, opened, python):
        random, n_models = np.random.default_rng(0), len(python.pool)
        for length in [*range(1, n_models + 1), *[n_models] * 4]:
            chain = sorted(random.choice(n_models, length, replace=False).tolist())
            # Among them confidences that occur: `at or above` must hold to the last digit.
            drawn = [float(random.choice(python.outcomes.confidence[:, m])) for m in chain[:-1]]
            opened.set(chain, drawn, n_models)
            assert opened.numbers() == python.numbers(chain, [*drawn, 0.0]), (chain, drawn)

    def test_sliders_count_as_in_python(self, opened, python):
        n_models = len(python.pool)
        opened.set(range(n_models), [0.5] * n_models, n_models)
        for threshold in (0.0, 0.35, 0.995, 1.0):
            slider = opened.page.locator("[data-slider='0']")
            slider.fill(str(threshold))
            thresholds = [threshold, *[0.5] * (n_models - 2), 0.0]
            assert opened.numbers() == python.numbers(range(n_models), thresholds)
        slider.focus()
        opened.page.keyboard.press("ArrowLeft")
        assert opened.numbers() == python.numbers(range(n_models), [0.995, *thresholds[1:]])

    def test_the_target_moves_along_the_tuned_frontier(self, opened, python):
        target = opened.page.locator("#target")
        least = float(target.get_attribute("min"))
        frontiers = python.frontiers
        for loss in (least, 0.5, 1.0, 3.05):
            target.fill(f"{max(loss, least):g}")
            point = for_loss(
                frontiers.points["accuracy"], max(loss, least), frontiers.reference_accuracy
            )
            assert opened.numbers() == python.of(point.strategy)

    def test_the_command_asks_for_the_present_setting(self, opened, python, tmp_path):
        n_models = len(python.pool)
        opened.set([0, n_models - 1], [0.123], n_models)
        words = shlex.split(opened.page.locator("#command").input_value())
        assert words[:3] == ["dvc", "exp", "run"]
        shutil.copy(REPOSITORY / "params.yaml", tmp_path)
        apply_overrides(tmp_path / "params.yaml", words[4::2])
        cascading = params.load(tmp_path / "params.yaml").cascading
        assert cascading.active_models == [python.pool[0], python.pool[-1]]
        assert cascading.chosen_thresholds == [0.123, 0.0]

    def test_the_picture_follows(self, opened):
        opened.page.locator("[data-takes-part='0']").set_checked(True)
        ring = 'document.querySelector("[data-picture=live] svg").innerHTML'
        for threshold in (0.3, 0.5, 0.7):
            before = opened.page.evaluate(ring)
            opened.page.locator("[data-slider='0']").fill(str(threshold))
            opened.page.wait_for_function(f"before => {ring} !== before", arg=before)
