"""Put the results of the study into one page that needs no network."""

from eco.errors import reported
from eco.report.make import make_page
from eco.workflow import params
from eco.workflow.artifacts import REPORT


def main() -> None:
    """Write plots/report.html."""
    content = make_page(params.load())
    REPORT.save(content)
    print(f"{REPORT.path()}: {len(content) / 1e6:.2f} MB, opens in any browser, needs no network")


if __name__ == "__main__":
    with reported():
        main()
