"""The command ``eco``, also as ``python -m eco``: see `eco.cli`."""

import signal
import sys

from eco.errors import extra, reported


def main() -> None:
    """Run the command line; without its packages, name the extra that brings them."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C ends the process: code that imports or cleans up may swallow KeyboardInterrupt.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    with reported(), extra("study" if sys.argv[1:2] == ["study"] else "workflow"):
        from eco.cli import main as run
    run(prog_name="eco")


if __name__ == "__main__":
    main()
