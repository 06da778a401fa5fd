"""The stages of dvc.yaml, as DVC runs them."""

from collections.abc import Sequence
from typing import Any

from eco.errors import EcoError


def planned(targets: Sequence[str] = ()) -> list[Any]:
    """DVC's stages that targets need, in the order in which `dvc repro` runs them.

    Raises `EcoError` where DVC can't read its files.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, plan_repro

    try:
        with Repo() as repo:
            stages = collect_stages(repo, targets) if targets else list(repo.index.stages)
            return list(plan_repro(repo.index.graph, stages))
    except DvcException as error:
        raise EcoError(f"DVC can't read the pipeline: {error}", "As committed: make back") from None
