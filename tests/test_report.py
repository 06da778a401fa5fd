"""The report: what stands in it, and that its explorer counts as Python does, in a real browser."""

import json
import shlex
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from eco import explorer, files, params, report, tuning
from eco.cascading import run_cascade
from eco.confidence import confidence, correct, predictions
from tests.conftest import REPOSITORY, clone

NASTY = '</script><img src=x onerror="alert(1)">'
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
#: Of the fastest of several tries, since other processes share the machine.
SECONDS_TO_A_PICTURE, SECONDS_TO_REDRAW = 2.0, 0.1


def preset(name="balanced", models="a b", thresholds="0.9 0.0", strategy="preset"):
    figures = {"accuracy": 0.9, "accuracy_loss_points": 1.0, "energy_share": 0.25}
    bounds = {f"{key}_{end}": v for key, v in figures.items() for end in ("low", "high")}
    told = {"strategy": strategy, "name": name, "models": models, "thresholds": thresholds}
    return told | figures | bounds


METERED = {
    "name": "balanced", "batch_size": 32,
    "energy_j": 2e-6, "energy_j_low": 1e-6, "energy_j_high": 3e-6,
    "energy_share": 0.4, "energy_share_low": 0.35, "energy_share_high": 0.45,
    "realised_over_modelled": 1.6, "throughput_per_s": 12345.6,
    "latency_p50_ms": 1.0, "latency_p95_ms": 2.0, "latency_p99_ms": 3.0,
}  # fmt: skip


def small_study(folder, n_models, class_names, n_samples=90):
    """A page of random models on 8x8 images, with all that is optional left out."""
    random = np.random.default_rng(n_models)
    pool = [f"m{i}" for i in range(n_models)]
    y = random.integers(len(class_names), size=n_samples)
    probabilities = random.dirichlet(np.full(len(class_names), 0.3), (n_samples, n_models))
    probabilities = probabilities.round(4).astype(np.float32)
    sure, labels = confidence(probabilities, "max_probability"), predictions(probabilities)
    energy_j = np.geomspace(1e-6, 1e-3, n_models)
    images = random.integers(256, size=(n_samples, 8, 8), dtype=np.uint8)
    by = np.full(n_samples, n_models - 1)
    found = [{"models": pool[-1:], "thresholds": [0.0], "accuracy": 0.5, "energy_j": energy_j[-1]}]
    data = explorer.data(sure, labels, y, energy_j, pool, found, 0.5, [])
    points = [
        {"strategy": "model", "name": m, "label": m, "accuracy": 0.5, "energy_share": e / 1e-3}
        for m, e in zip(pool, energy_j, strict=True)
    ]
    energies = [
        {"name": model, "batch_size": size, "readings_j": [e]}
        | dict.fromkeys(["energy_j", "energy_j_low", "energy_j_high"], e)
        for model, e in zip(pool, energy_j, strict=True)
        for size in (1, 256)
    ]
    rows = {
        "points": points, "classes": report.by_class(by, y, pool, class_names),
        "energy": energies, "shares": [], "reliability": [], "violations": [], "paid": [],
    }  # fmt: skip
    sections = dict.fromkeys(
        ["asked", "realised", "paid", "doctor", "provenance", "settings", "missing"], ""
    ) | {
        "dataset": report.escape(NASTY),
        "last": pool[-1],
        "headline": report.headline([], [], 1, pool[-1]),
        "compared": report.compared(points, []),
        "buttons": explorer.buttons(data["settings"]),
        "dials": explorer.dials(pool),
        "examples": report.examples(images, y, labels, sure, by, pool, class_names),
    }
    path = folder / f"report_{n_models}.html"
    report.write(path, sections, data | report.drawn(rows))
    return path


class TestSections:
    def test_names_cannot_become_markup(self):
        y = np.array([0, 1])
        labels, sure = np.array([[1], [1]]), np.array([[0.5], [0.25]])
        images = np.zeros((2, 8, 8), np.uint8)
        shown = report.examples(images, y, labels, sure, y * 0, ["m"], ["cat", NASTY])
        assert "cat → &lt;/script&gt;" in shown
        for html in (
            shown,
            report.table((NASTY,), [[NASTY, NASTY]]),
            explorer.buttons([{"name": NASTY}]),
            explorer.dials([NASTY]),
            report.headline([preset(NASTY)], [], 1, NASTY),
            report.missing([], {"none": NASTY}),
            report.findings({NASTY: NASTY}),
        ):
            assert "<img src=x" not in html

    def test_what_was_not_found_is_said_with_the_reason(self):
        notes = report.missing([preset()], {"none": "too few images"})
        assert "No tuned cascade" in notes
        assert "too few images" in notes
        assert report.missing([preset("tuned", strategy="tuned")], preset()) == ""

    def test_the_page_speaks_of_the_tuned_cascade_if_there_is_one(self):
        rows = [preset(), preset("certified", strategy="certified")]
        assert report.shown(rows)["name"] == "certified"
        assert report.shown([*rows, preset("tuned", strategy="tuned")])["name"] == "tuned"
        assert report.shown([preset("router", strategy="router")]) is None

    def test_the_headline_shows_what_was_realised_where_it_was_metered(self):
        assert "not metered" in report.headline([preset()], [], 256, "extra")
        shown = report.headline([preset()], [METERED], 256, "extra")
        assert "75.0%" in shown
        assert "60.0%" in shown
        assert "[55.0%, 65.0%]" in shown
        assert "batch size 32" in shown

    def test_realised_figures_stand_in_a_table(self):
        shown = report.realised([METERED])
        for cell in ("balanced", "32", "2 [1, 3]", "1.60", "0.400 [0.350, 0.450]", "12,346"):
            assert f">{cell}<" in shown
        assert "no strategy was metered" in report.realised([])

    def test_equal_cascades_share_a_button(self):
        rows = [preset(), preset("same"), preset("other", thresholds="0.8 0.0"),
                preset("agreement", strategy="agreement voting", thresholds="")]  # fmt: skip
        settings = explorer.settings_of(rows, ["a", "b"])
        assert [setting["name"] for setting in settings] == ["balanced = same", "other"]

    def test_no_example_is_both_easy_and_hard(self):
        y, labels = np.zeros(3, int), np.zeros((3, 1), int)
        sure = np.array([[0.9], [0.8], [0.7]])
        shown = report.examples(np.zeros((3, 8, 8), np.uint8), y, labels, sure, y, ["m"], ["cat"])
        assert shown.count("<img") == 3
        easy, hard = shown.split("hard, right")
        assert "0.90" in easy
        assert "0.80" in easy
        assert "0.70" in hard.split("easy, wrong")[0]


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
    name = params.load(folder / "params.yaml").data.name
    if (REPOSITORY / "data/test.npz").exists():
        shutil.copy(REPOSITORY / "data/test.npz", folder / "data/test.npz")
    else:  # images are not in git, and none is needed to count
        y = np.load(folder / "data/labels.npz")["test"]
        X = np.random.default_rng(0).integers(256, size=(len(y), 28, 28), dtype=np.uint8)
        files.save_arrays(folder / "data/test.npz", f"test images of {name}", X=X, y=y)
    command = [sys.executable, "-m", "stages.report"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


class Opened:
    """A page that is open in the browser, what it logged and what it asked the network for."""

    def __init__(self, browser, path, **options):
        self.page, self.logged, self.asked = browser.new_page(**options), [], []
        self.page.on("console", lambda message: self.logged.append(message.text))
        self.page.on("pageerror", lambda error: self.logged.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        began = time.monotonic()
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("[data-picture] svg", state="attached")
        self.seconds = time.monotonic() - began
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


@pytest.fixture(scope="module")
def python(study):
    """The numbers that Python computes, as the page shows them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study)
        settings = params.load()
        name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
        energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
        probabilities = files.load_predictions(pool, "test", name)
        signal = settings.cascading.confidence
        sure = confidence(probabilities, signal)
        right = correct(probabilities, files.load_labels("test", name))
        made_for = files.MadeFor(name, batch_size, signal, pool)
        rows, reference = files.load_frontier("accuracy", made_for)
        strategies = files.load_rows("strategies", ["models"], "evaluate_frontier")

    class Python:
        models, frontier = pool, [tuning.Setting.of_row(row, pool) for row in rows]

        def numbers(self, chain, thresholds):
            by, ran = run_cascade(sure, chain, thresholds)
            accuracy = right[np.arange(len(by)), by].mean()
            lost, share = right[:, -1].mean() - accuracy, (ran @ energy_j).mean() / energy_j[-1]
            return [f"{accuracy:.2%}", f"{100 * lost:.2f}", f"{share:.2%}"]

    Python.reference, Python.strategies, Python.sure = reference, strategies, sure
    return Python()


class TestPage:
    def test_it_is_small_and_needs_no_network(self, study, opened):
        assert (study / "plots/report.html").stat().st_size < 5_000_000
        assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.asked)
        assert opened.logged == []

    def test_it_opens_at_once(self, browser, study, opened):
        again = Opened(browser, study / "plots/report.html")
        again.page.close()
        assert min(opened.seconds, again.seconds) < SECONDS_TO_A_PICTURE

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
        path = small_study(tmp_path, n_models, ["cat", NASTY, "_"])
        there = Opened(browser, path)
        assert there.logged == []
        assert there.page.locator(".dial").count() == n_models
        assert there.page.locator("img[src=x]").count() == 0
        assert "No cascade was found" in there.page.content()
        there.set(range(n_models), [0.5] * n_models, n_models)
        assert there.logged == []
        there.page.close()


class TestExplorer:
    def test_confidences_survive_the_page(self, python):
        assert np.array_equal(np.rint(python.sure * 10_000).astype("<u2") / 10_000, python.sure)

    def test_buttons_show_what_the_metrics_say(self, opened, python):
        pressed = opened.page.locator("[data-setting]")
        rows = {row["name"]: row for row in python.strategies}
        for button in pressed.all():
            button.click()
            row = rows[button.inner_text().split(" = ")[0]]
            lost = f"{row['accuracy_loss_points']:.2f}"
            expected = [f"{row['accuracy']:.2%}", lost, f"{row['energy_share']:.2%}"]
            assert opened.numbers() == expected
            assert button.get_attribute("aria-pressed") == "true"

    def test_thresholds_count_as_in_python(self, opened, python):
        random, n_models = np.random.default_rng(0), len(python.models)
        for length in [*range(1, n_models + 1), *[n_models] * 4]:
            chain = sorted(random.choice(n_models, length, replace=False).tolist())
            # Among them confidences that occur: `at or above` must hold to the last digit.
            drawn = [float(random.choice(python.sure[:, model])) for model in chain[:-1]]
            opened.set(chain, drawn, n_models)
            assert opened.numbers() == python.numbers(chain, [*drawn, 0.0]), (chain, drawn)

    def test_sliders_count_as_in_python(self, opened, python):
        n_models = len(python.models)
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
        for loss in (least, 0.5, 1.0, 3.05):
            target.fill(f"{max(loss, least):g}")
            setting = tuning.for_loss(python.frontier, max(loss, least), python.reference)
            assert opened.numbers() == python.numbers(setting.chain, setting.thresholds)

    def test_the_command_asks_for_the_present_setting(self, opened, python, tmp_path):
        n_models = len(python.models)
        opened.set([0, n_models - 1], [0.123], n_models)
        words = shlex.split(opened.page.locator("#command").input_value())
        assert words[:3] == ["dvc", "exp", "run"]
        shutil.copy(REPOSITORY / "params.yaml", tmp_path)
        apply_overrides(tmp_path / "params.yaml", words[4::2])
        cascading = params.load(tmp_path / "params.yaml").cascading
        assert cascading.active_models == [python.models[0], python.models[-1]]
        assert cascading.chosen_thresholds == [0.123, 0.0]

    def test_the_picture_follows_at_once(self, opened):
        opened.page.locator("[data-takes-part='0']").set_checked(True)
        seconds = opened.page.evaluate(
            """async () => {
              const slider = document.querySelector("[data-slider='0']"), seen = [];
              const ring = () => document.querySelector("[data-picture=live] svg").innerHTML;
              for (let i = 0; i < 8; i++) {
                const before = ring(), began = performance.now();
                slider.value = 0.3 + 0.08 * i;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                while (ring() === before && performance.now() - began < 3000)
                  await new Promise(requestAnimationFrame);
                seen.push((performance.now() - began) / 1000);
              }
              return seen;
            }"""
        )
        print(f"slider to redrawn picture: {json.dumps([round(s, 4) for s in seconds])} s")
        assert sorted(seconds)[len(seconds) // 2] < SECONDS_TO_REDRAW
