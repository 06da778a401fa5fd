"""Put settings and results back as last committed, whatever state they are in: `make back`.

Of what a killed `dvc exp run` leaves: HEAD off its branch, locks of git, settings in git's index,
files and references of DVC. git takes a file for unchanged if length, inode and second agree, so
each file is written anew.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from eco.errors import EcoError, reported

#: What experiments change, as far as git has it; everything else is the user's.
CHANGED = ("params.yaml", "dvc.lock", "data", "metrics", "plots", "models")
TMP = Path(".dvc/tmp")
#: Where DVC says who works in a folder; a kill can leave half of one.
LOCKS = [TMP / "rwlock", TMP / "exps/rwlock", TMP / "exps/run/workspace/workspace.json"]
#: Arguments and state of an experiment in the folder, and its references.
LEFT = [TMP / "repro.dat", TMP / "exps/run/workspace", *LOCKS]
REFERENCES = ["refs/exps/stash"]
REFERENCES += [f"refs/exps/exec/EXEC_{name}" for name in ("BRANCH", "MERGE", "HEAD", "BASELINE")]


def git(*arguments: str, check: bool = True) -> str:
    """The answer of a git command; raises what git says if it fails."""
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise EcoError(f"git {arguments[0]} failed: {result.stderr.strip()[:400].rstrip('.')}")
    return result.stdout.strip()


def refuse_beside_dvc() -> None:
    """Raise if a living `dvc` is named in a lock."""
    text = "".join(path.read_text("utf-8", "replace") for path in LOCKS if path.exists())
    for pid in sorted(map(int, re.findall(r'"pid": (\d+)', text))):
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.Error:
            continue
        if any("dvc" in word for word in command):
            raise EcoError(
                f"dvc works in this folder: process {pid}, {' '.join(command)[:200]}",
                f"Wait for it, or end it: kill {pid}",
            )


def reattach_head() -> None:
    """Put HEAD back on the branch that an experiment took it off."""
    if git("symbolic-ref", "-q", "HEAD", check=False):
        return
    here = {git("rev-parse", "-q", "--verify", name, check=False) for name in
            ("HEAD", "refs/exps/exec/EXEC_HEAD")}  # fmt: skip
    for entry in git("reflog", "--format=%gs", "HEAD").splitlines():
        left = re.match(r"checkout: moving from (\S+) to ", entry)
        branch = f"refs/heads/{left[1]}" if left else ""
        if left and git("rev-parse", "-q", "--verify", branch, check=False) in here - {""}:
            git("symbolic-ref", "HEAD", branch)
            print(f"HEAD is on {left[1]} again.")
            return


def main() -> None:
    """Put everything back, and say so."""
    folder = Path(git("rev-parse", "--absolute-git-dir"))
    refuse_beside_dvc()
    for lock in [*folder.glob("*.lock"), *folder.glob("refs/**/*.lock")]:
        lock.unlink()
    reattach_head()
    # What the index no longer has, git writes without a look at the file.
    git("rm", "-rfq", "--cached", "--ignore-unmatch", "--", *CHANGED, str(TMP))
    committed = git("ls-tree", "--name-only", "HEAD", "--", *CHANGED).splitlines()
    git("checkout", "-q", "HEAD", "--", *committed)
    for reference in REFERENCES:
        git("update-ref", "--no-deref", "-d", reference)
    for path in LEFT:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    print(f"{', '.join(committed)}: as committed in {git('rev-parse', '--short', 'HEAD')}.")
    if git("stash", "list"):
        print("Changes of your own may wait in a stash: git stash list")
    dvc = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--allow-missing"]
    if subprocess.run(dvc, check=False).returncode:
        raise EcoError(
            "dvc checkout left the files above as they are, since nothing else holds them",
            "To give them up: dvc checkout --force",
        )


if __name__ == "__main__":
    with reported():
        main()
