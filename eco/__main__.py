"""`python -m eco`: see `eco.cli`."""

import sys

try:
    from eco.cli import main
except KeyboardInterrupt:  # before `eco.cli` can say so itself
    sys.exit(130)

main(prog_name="eco")
