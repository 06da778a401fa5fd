from eco.workflow import artifacts
from tests.cli.conftest import refused


def test_results_that_are_missing_are_named_and_no_page_is_written(settings):
    assert "is missing" in refused("report")
    assert not artifacts.REPORT.path().exists()
