"""`eco report`: the page, from the results that are there."""

import click

from eco.workflow import params
from eco.workflow.artifacts import REPORT, SAMPLE, SPLITS

EXAMPLES = """\b
Examples:
  eco report
"""


@click.command(epilog=EXAMPLES)
def report() -> None:
    """Write plots/report.html, the whole study in one page that needs no network.

    The results in git are enough: no training, no data. If samples are images, it shows some of
    the test split or, where that is missing, of the sample in git.
    """
    from eco.report.make import make_page  # Vega-Lite

    settings = params.load()
    REPORT.save(make_page(settings))
    click.echo(f"the page: {REPORT.path()}, opens in any browser, needs no network")
    if settings.data.kind != "images" or SPLITS.path(split="test").exists():
        return
    sample = SAMPLE.path()
    shown = f"are those of {sample}" if sample.exists() else f"are left out: {sample} is missing"
    click.echo(f"Its example images {shown}. All test images: dvc repro fetch, then eco report")
