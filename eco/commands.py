"""The commands that errors and advice name."""

from pathlib import Path

#: What does the same in a study without a Makefile, as `eco init` writes it.
WITHOUT_MAKE = {
    "back": "git checkout HEAD -- params.yaml",
    "measure": "dvc repro -f -s benchmark benchmark_router, then dvc repro",
    "repro": "dvc repro",
}


def command(target: str) -> str:
    """A target of the Makefile, or what does the same where there is none."""
    return f"make {target}" if Path("Makefile").exists() else WITHOUT_MAKE[target]
