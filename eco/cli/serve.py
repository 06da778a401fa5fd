"""`eco serve`: answer samples over HTTP with a strategy."""

import time

import click

from eco.cli.limits import check_covers, limit_options, load_limit
from eco.cli.monitor import OPEN_SHARE
from eco.cli.options import FiniteRange
from eco.cli.strategies import find_strategy, warn_of_changed_models
from eco.cli.switching import OnDrift, budget_policy, drift_policy, load_served
from eco.serving.app import make_app
from eco.serving.gate import Limits
from eco.serving.policy import Policy
from eco.serving.server import listen, run
from eco.serving.service import Service
from eco.workflow import params

EXAMPLES = """\b
Examples:
  eco serve
  eco serve -s 'tuned to lose 0.5' --port 9000 --batch-wait-ms 0
  eco serve -s tuned --on-drift last
  eco serve -s certified --max-g-per-hour 2 --grid grid.csv
  curl --data-binary @image.raw -H 'Content-Type: application/octet-stream' localhost:8000/predict
"""
HOST = "Address to listen on; 0.0.0.0 is every one of this machine."
PORT = "0 takes any that is free."
SAMPLES = "Samples of a request at most."
BODY = "Megabytes of a request at most."
TIMEOUT = "Seconds in which a request must arrive."
WORKERS = "Requests of many samples that are computed side by side."
WAIT = "Run few samples together with those of other requests, after so many ms. Off by default."
DRIFT = "Once models answer other shares than held out: log it, or answer by that strategy."
ALPHA = "Probability that --on-drift ever takes unchanged samples for others; by default 0.001."


@click.command(epilog=EXAMPLES, context_settings={"show_default": True})
@click.option("-s", "--strategy", "name", default="chosen", help="A name that `eco show` lists.")
@click.option("--host", default="127.0.0.1", help=HOST)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help=PORT)
@click.option(
    "--max-samples", "--max-images", type=click.IntRange(1, 10_000_000), default=4096, help=SAMPLES
)
@click.option("--max-body-mb", type=FiniteRange(0.001, 10_000), default=16.0, help=BODY)
@click.option("--timeout", type=FiniteRange(0.1, 3600), default=30.0, help=TIMEOUT)
@click.option("--workers", type=click.IntRange(1, 256), default=1, help=WORKERS)
@click.option("--batch-wait-ms", type=FiniteRange(0, 1000), help=WAIT)
@click.option("--on-drift", type=click.Choice(["warn", "last", "certified"]), help=DRIFT)
@click.option("--alpha", type=OPEN_SHARE, help=ALPHA)
@limit_options
def serve(
    name: str, host: str, port: int, max_samples: int, max_body_mb: float, timeout: float,
    workers: int, batch_wait_ms: float | None, on_drift: OnDrift | None, alpha: float | None,
    max_j: float | None, max_g: float | None, grid: str | None, over: str | None,
) -> None:  # fmt: skip
    """Answer samples over HTTP: by the Open Inference Protocol V2, as raw bytes, as JSON lines.

    There is neither TLS nor a password: put a proxy that has both in front of it, where others than
    this machine can reach it.
    """
    settings = params.load()
    strategy = find_strategy(settings, name)
    policy, strategies = Policy(), [strategy]
    limit, intensity = load_limit(max_j, max_g, grid, over)
    if on_drift is not None and limit is not None:
        raise click.UsageError(
            "--on-drift goes without a budget, which changes the shares of the models itself."
        )
    if on_drift is None and alpha is not None:
        raise click.UsageError("--alpha goes with --on-drift.")
    if on_drift is not None:
        policy, strategies = drift_policy(settings, name, strategy, on_drift, alpha or 0.001)
    if limit is not None:
        now = time.time()
        check_covers(intensity, now, now)
        refuses = over == "refuse"
        policy, strategies = budget_policy(settings, name, strategy, limit, intensity, refuses)
    warn_of_changed_models(strategies)
    served = load_served(settings, name, strategy, strategies)
    wait_s = None if batch_wait_ms is None else batch_wait_ms / 1000
    service = Service(served, policy, workers, wait_s)
    limits = Limits(max_samples, round(max_body_mb * 1e6), timeout, served.inputs.samples)
    app = make_app(service, limits)
    listener = listen(host, port)
    address, at = listener.getsockname()[:2]
    url = f"http://[{address}]:{at}" if ":" in address else f"http://{address}:{at}"
    click.echo(f"{name} ({strategy.describe()}) at {url}, described by {url}/openapi.json")
    run(app, listener, limits.timeout_s)
