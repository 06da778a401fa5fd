import pytest

from eco.workflow import artifacts
from tests.cli.conftest import eco, refused


def test_a_missing_sample_is_named_with_the_stage_that_makes_it(settings):
    artifacts.SAMPLE.path().unlink()
    message = refused("demo")
    assert "data/sample.npz is missing" in message and "dvc repro sample" in message


@pytest.mark.slow
def test_the_cascade_answers_and_is_measured_beside_the_last_model(settings):
    """Ends at the page, for which this workflow lacks a file."""
    result = eco("demo", "--seconds", "1", ok=None)
    assert "on 20 test images" in result.stdout
    assert f"always {settings.pool[-1]}" in result.stdout.split("realised")[1]
    assert "by the readings of another machine (another machine): modelled" in result.stdout
    assert "is missing" in result.stderr
