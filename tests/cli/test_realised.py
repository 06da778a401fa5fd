from eco.cli.realised import Reading, realised_lines
from eco.energy.protocol import Window
from eco.workflow import artifacts
from tests.cli.conftest import eco, refused


def lines(energy_j=8.0, cpu_s=2.0, watts=4.0):
    window = Window(energy_j, 0.0, 0.0, cpu_s, 2.0, 0.0)
    return "\n".join(realised_lines(Reading(window, 0.01, watts), 5.0, 100))


def test_realised_stands_beside_modelled_with_floor_and_clock():
    text = lines()
    assert "8 J, 0.08 J per sample" in text and "over modelled      1.60" in text
    assert "floor              0.01 J" in text and "CPU clock   8 J\n" in text
    assert "one run: no interval" in text.lower()


def test_a_reading_that_the_clock_contradicts_is_doubted():
    assert "50% apart: trust the clock" in lines(energy_j=12.0)


def test_a_counter_has_no_clock():
    assert "other processes are counted" in lines(watts=None) and "clock" not in lines(watts=None)


def test_short_runs_are_not_measured():
    text = lines(energy_j=1.0, cpu_s=0.3)
    assert "too short to measure: 0.3 s" in text and "\n" not in text


def test_a_prediction_that_is_too_short_says_so_and_answers(settings):
    text = eco("predict", "test", "--measure").stdout
    assert "samples            300" in text and "too short to measure" in text


def test_the_last_model_is_not_run_inside_the_measurement(settings):
    result = eco("predict", "test", "--measure", "--compare", ok=False)
    assert "leave out --compare" in result.stderr


def test_a_missing_file_with_a_whole_path_is_in_no_folder(settings):
    message = refused("predict", "/nowhere/missing.npy")
    assert "/nowhere/missing.npy does not exist\n" in message


def test_missing_images_are_had_without_the_rest_of_the_study(settings):
    artifacts.SPLITS.path(split="test").unlink()
    message = refused("predict", "test")
    assert "dvc repro fetch" in message and "everything: dvc repro" in message
    assert "git checkout" not in message
