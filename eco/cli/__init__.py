"""The command line: one file per command.

Commands read params.yaml and the files of the workflow, but for `study`. A command is imported when
it is needed: packages that it takes may be missing for the others.
"""

import errno
import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any

import click

from eco.errors import MissingExtraError, extra, reported

#: Each is a function of that name in a module of that name.
COMMANDS = (
    "init", "demo", "predict", "serve", "monitor", "budget", "show", "tune", "study", "report",
    "machines", "doctor",
)  # fmt: skip


class _Commands(click.Group):
    """Commands whose errors are one message, and that can be stopped at any time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the commands, as the help lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A command; one whose packages are missing says so when it is called."""
        if cmd_name not in COMMANDS:
            return None
        try:
            with extra(cmd_name if cmd_name in ("study", "serve") else "workflow"):
                return getattr(importlib.import_module(f"eco.cli.{cmd_name}"), cmd_name)
        except MissingExtraError as error:
            return _Missing(cmd_name, error)

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command, or show its help, whatever its output is."""
        _prepare_streams()
        try:
            return super().main(*arguments, **options)
        except OSError as error:
            if error.filename is not None or error.errno == errno.EPIPE:
                raise
            with suppress(OSError):  # where standard error is full, too
                click.echo(f"\nERROR: the output can't be written: {error.strerror}.", err=True)
            for stream in (sys.stdout, sys.stderr):  # flushed at exit again
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> None:
        with reported():
            super().invoke(ctx)
            sys.stdout.flush()  # here, where click handles a closed pipe quietly


class _Missing(click.Command):
    """A command that only says which extra it takes."""

    def __init__(self, name: str, error: MissingExtraError) -> None:
        super().__init__(name, help=error.remedy)
        self.error = error

    def make_context(self, *_: Any, **__: Any) -> click.Context:
        """Raise the error instead of reading any arguments."""
        raise self.error


def _prepare_streams() -> None:
    """Open what is closed, lest a file of ours takes its place; write what an encoding lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@click.version_option(package_name="ecoinference")
@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Answer each image with the cheapest classifier that is good enough, and say what it cost.

    Run it from the top of a study; `eco study` and `eco init` run anywhere. COMMAND --help has
    examples.
    """
