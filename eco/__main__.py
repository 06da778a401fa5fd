"""The command ``eco``, also as ``python -m eco``: see `eco.cli`."""

import sys

from eco.errors import extra, reported


def main() -> None:
    """Run the command line; without its packages, name the extra that brings them."""
    try:
        with reported(), extra("study" if sys.argv[1:2] == ["study"] else "workflow"):
            from eco.cli import main as run
    except KeyboardInterrupt:  # before the command line can say so itself
        sys.exit(130)
    run(prog_name="eco")


if __name__ == "__main__":
    main()
