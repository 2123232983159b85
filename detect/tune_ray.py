"""Trials of `cv tune` on several machines or GPUs at once, by Ray.

Each trial is a Ray task, which starts the process that it would be without Ray. Optuna proposes and stops the trials
here, so that both ways are resumed alike and give the same page; Ray finds a free GPU, on whatever machine. Every
machine must see the run's folder, the dataset and the weights under the same paths, and have Lensmith installed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from ..core.errors import DiskFullError, LensmithError
from ..core.progress import say
from .trial import Judge, TrialScore
from .trial_process import TrialFailedError, run_trial
from .tune_study import TuneStudy

if TYPE_CHECKING:
    from .tune_job import Tuning

_LOOK_SECONDS = 0.5


class _CancelledError(Exception):
    """The person stopped the tuning."""


@dataclass(frozen=True)
class _Cluster:
    """What trials run on.

    Attributes:
        together: How many trials at once: one on each GPU, or one on each machine where there is none.
        cpus, gpus: What each takes.
    """

    together: int
    cpus: int
    gpus: int


def try_with_ray(tuning: Tuning, study: TuneStudy, address: str | None) -> None:
    """Do trials until there are enough or the time is up, as many at once as the cluster has GPUs or machines.

    Args:
        tuning: What is tuned.
        study: Its trials.
        address: Of a cluster that runs; None starts one on this machine, for as long as this takes.

    Raises:
        LensmithError: the cluster cannot be reached.
        TrialFailedError: trials fail with nothing changed.
    """
    stop = Event()
    with _connected(address) as cluster, ThreadPoolExecutor(cluster.together) as pool:
        say(f"Ray: {cluster.together} at once, each with {cluster.cpus} CPU cores and {cluster.gpus} GPUs")

        def train(folder: Path, judge: Judge) -> TrialScore:
            return _train_somewhere(folder, judge, cluster, stop)

        running: set[Future[None]] = set()
        try:
            while running or tuning.left(study) > 0:
                while len(running) < cluster.together and tuning.left(study) - len(running) > 0:
                    trial, again = study.ask()
                    folder = tuning.begin(trial, again)
                    running.add(pool.submit(tuning.end, study, trial, folder, train))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            stop.set()


def _train_somewhere(folder: Path, judge: Judge, cluster: _Cluster, stop: Event) -> TrialScore:
    """One trial as a Ray task; its epochs come through one queue, and the answers go through another."""
    import ray
    from ray.exceptions import RayError
    from ray.util.queue import Empty, Queue

    heard, answers = (Queue(actor_options={"num_cpus": 0}) for _ in range(2))
    task = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=0)(_on_a_machine)
    ended = task.remote(str(folder), heard, answers)
    try:
        while True:
            if stop.is_set():
                ray.cancel(ended, force=True)
                raise _CancelledError
            try:
                epoch, score = heard.get(timeout=_LOOK_SECONDS)
            except Empty:
                if ray.wait([ended], timeout=0)[0]:
                    break
                continue
            answers.put(judge(epoch, score))
        told: dict[str, Any] = ray.get(ended)
    except RayError as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrialFailedError(f"The machine of this trial is gone: {first}", where=folder) from None
    finally:
        for queue in (heard, answers):
            queue.shutdown(force=True)
    if told.get("full"):
        raise DiskFullError(folder)
    if "error" in told:
        raise TrialFailedError(told["error"], where=folder)
    return TrialScore(**told)


def _on_a_machine(folder: str, heard: Any, answers: Any) -> dict[str, Any]:
    """What Ray does wherever there is room: a trial in a process of its own."""

    def judge(epoch: int, score: float) -> bool:
        heard.put((epoch, score))
        return bool(answers.get())

    try:
        return asdict(run_trial(Path(folder), judge))
    except LensmithError as error:
        return {"error": str(error), "full": isinstance(error, DiskFullError)}


@contextmanager
def _connected(address: str | None) -> Iterator[_Cluster]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would report how it is used
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns of a change that does not touch us
    import ray

    try:
        ray.init(
            address=address or "local", include_dashboard=None if address else False, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise LensmithError(
            f"The Ray cluster cannot be used: {first}",
            where=address or "this machine",
            next_step="look whether it runs (ray status), or leave --ray-address out",
        ) from None
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = int(sum(node.get("GPU", 0) for node in nodes))
        cpus = int(min(node.get("CPU", 1) for node in nodes))
        if gpus:
            most = max(int(node.get("GPU", 0)) for node in nodes)
            yield _Cluster(gpus, max(cpus // most, 1), 1)
        else:
            yield _Cluster(len(nodes), max(cpus, 1), 0)
    finally:
        ray.shutdown()
