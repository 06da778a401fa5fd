"""Kill runs of `eco predict` again and again, and count answers lost, doubled or half.

From the top of a study, with any engine and any folder of inputs:
`python -m tools.kills INPUT --kills 20 --engine ray`.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

#: The longest time between a start, or a kill, and the next kill.
PAUSE_S = 2.0


def start(source: str, answers: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    command = [sys.executable, "-m", "eco", "predict", source, "-o", f"{answers}/", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, **quiet)


def kill_one(process: subprocess.Popen[bytes], answers: Path, rng: random.Random) -> str | None:
    """Kill the command, or a process that is writing answers; says which, None if none is."""
    writing = []
    for draft in answers.glob(".*.part"):
        with suppress(ProcessLookupError, ValueError):
            pid = int(draft.name.split(".")[-2])
            os.kill(pid, 0)
            writing.append(pid)
    if not writing or process.poll() is not None:
        return None
    if rng.random() < 0.3:
        process.kill()
        process.wait()
        return "command"
    with suppress(ProcessLookupError):
        os.kill(rng.choice(writing), signal.SIGKILL)
        return "process that was writing"
    return None


def contents(folder: Path) -> dict[str, bytes]:
    """The answers in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def campaign(source: str, kills: int, options: list[str], seed: int) -> Counter[str]:
    """Kill and start again until there were so many kills, and count what happened."""
    rng, count = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as top:
        start(source, Path(top, "whole"), []).wait()
        expected, answers = contents(Path(top, "whole")), Path(top, "answers")
        while True:
            process = start(source, answers, options)
            count["runs"] += 1
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(0, PAUSE_S))
                if count["kills"] < kills and (killed := kill_one(process, answers, rng)):
                    count["kills"] += 1
                    count[f"of them of a {killed}"] += 1
            found = contents(answers)
            count["files half or wrong"] += sum(
                expected.get(name) != content for name, content in found.items()
            )
            if process.returncode == 0:
                count["runs that were completed"] += 1
                count["files lost"] += len(set(expected) - set(found))
                manifest = json.loads((answers / "manifest.json").read_bytes())
                names = [entry["answers"] for entry in manifest["files"]]
                count["files doubled"] += len(names) - len(set(names))
                if count["kills"] >= kills:
                    return count
                answers.rename(Path(top, str(count["runs"])))


def main() -> None:
    """Print what happened; status 1 if answers were lost, doubled or half."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", metavar="INPUT")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments, options = parser.parse_known_args()
    count = campaign(arguments.source, arguments.kills, options, arguments.seed)
    for what, number in count.items():
        print(f"{number:6} {what}")
    sys.exit(any(number for what, number in count.items() if what.startswith("files")))


if __name__ == "__main__":
    main()
