"""`python -m eco`: see `eco.cli`."""

from eco.cli import main

main(prog_name="eco")
