"""A strategy in memory that answers requests."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

from eco.runtime.calls import CALL_SIZE
from eco.runtime.engine import Answers
from eco.serving.inputs import Inputs
from eco.serving.metrics import Metrics
from eco.serving.policy import Policy

Array = NDArray[Any]
#: From samples, (n, ...), to answers, and J of each, (n,).
Run = Callable[[Array], tuple[Answers, Array]]

#: Samples that are answered at once: to wake a thread would take longer.
FEW = 4


@dataclass(frozen=True)
class Served:
    """A strategy or several, and what their numbers stand for.

    Parameters
    ----------
    name, description : str
    models, classes : sequence of str
    inputs : Inputs
        From requests to samples.
    runs : sequence of callable
        The strategies; a policy chooses among them.
    """

    name: str
    description: str
    models: Sequence[str]
    classes: Sequence[str]
    inputs: Inputs
    runs: Sequence[Run]


class Answered(NamedTuple):
    """What the strategy answered, and J of each sample, (n,)."""

    answers: Answers
    energy_j: Array


class Service:
    """A strategy that answers many requests.

    Parameters
    ----------
    served : Served
    policy : Policy
        Names the strategy that answers next, and learns what it answered.
    workers : int
        Calls of the engine that run side by side.
    batch_wait_s : float, optional
        Seconds that a few samples wait for those of other requests, to be run together. Without it
        every request is run alone, and its answers are the engine's to the last bit.
    """

    def __init__(
        self, served: Served, policy: Policy, workers: int, batch_wait_s: float | None = None
    ) -> None:
        self.served, self.policy = served, policy
        self.metrics = Metrics(served.name, served.description, served.models, policy.gauges())
        self._threads = ThreadPoolExecutor(workers)
        self._wait_s = batch_wait_s
        self._waiting: list[tuple[Array, asyncio.Future[Answered]]] = []
        self._batches: asyncio.Task[None] | None = None

    async def answer(self, X: Array) -> Answered:
        """Answer samples, (n, ...); 429 where the policy refuses them."""
        if wait_s := self.policy.refuse(len(X)):
            problem = f"what an hour may cost is spent; ask again in {math.ceil(wait_s)} s"
            raise HTTPException(429, problem, {"retry-after": str(math.ceil(wait_s))})
        if len(X) > FEW:
            answered = await self._run(X)
        elif self._wait_s is None:
            answered = Answered(*self._next()(X))
        else:
            answered = await self._run_with_others(X)
        answered_by, joules = answered.answers.answered_by, sum(answered.energy_j.tolist())
        self.metrics.count_answers(answered_by, joules)
        self.policy.observe(answered_by, joules)
        return answered

    def _next(self) -> Run:
        return self.served.runs[self.policy.choose()]

    async def _run(self, X: Array) -> Answered:
        loop = asyncio.get_running_loop()
        return Answered(*await loop.run_in_executor(self._threads, self._next(), X))

    async def _run_with_others(self, X: Array) -> Answered:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((X, future))
        if self._batches is None:
            self._batches = asyncio.create_task(self._run_batches(self._wait_s or 0.0))
        return await future

    async def _run_batches(self, wait_s: float) -> None:
        """Run what waits, and what comes meanwhile, in calls of a good size."""
        await asyncio.sleep(wait_s)
        while self._waiting:
            batch = self._waiting[: CALL_SIZE // FEW]
            del self._waiting[: len(batch)]
            samples, futures = zip(*batch, strict=True)
            try:
                answers, energy_j = await self._run(np.concatenate(samples))
            except Exception as error:
                for future in futures:
                    future.set_exception(error)
                continue
            ends = accumulate(map(len, samples), initial=0)
            for future, (start, end) in zip(futures, pairwise(ends), strict=True):
                part = Answers(*(values[start:end] for values in answers))
                future.set_result(Answered(part, energy_j[start:end]))
        self._batches = None
