"""A row of the database as the job a backend knows."""

import logging
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import TypeVar

from scripthut.core import paths, tokens
from scripthut.core.errors import BROKEN
from scripthut.core.jobs import Job, Resources
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store.making import env
from scripthut.store.models import Task

log = logging.getLogger(__name__)
_T = TypeVar("_T")


def singly(tasks: Iterable[Task], work: Callable[[Task], _T]) -> dict[int, _T]:
    """What `work` makes of each task, by its id. One that breaks it is left out, and logged.

    A row that nobody foresaw must not keep the evidence of all others of its backend waiting.
    """
    made: dict[int, _T] = {}
    for task in tasks:
        try:
            made[task.id] = work(task)
        except BROKEN:
            log.exception("task left alone run=%s task=%s", task.run_id, task.key)
    return made


def job_of(task: Task, home: PurePosixPath, attempt: int | None = None) -> Job:
    """The job of a task's present attempt, or of a former one, of which only the paths hold.

    `task.run` is loaded; its log directory may be new.
    """
    is_present = attempt in (None, task.attempt)
    attempt = attempt or task.attempt
    run, spec = task.run, TaskSpec.stored(task.spec)
    place = directory(task)
    logs = absolute(run.log_dir, "~", home) if run.log_dir else paths.log_dir(home, run.name)
    token = (task.token if is_present else None) or tokens.token(run.id, task.n, attempt)
    where = paths.for_task(
        logs,
        token.partition(".")[0],  # of a task that was taken over, the run in which it ran
        task.key,
        attempt,
        token,
        out=_log_file(spec.output_file, place, home),
        err=_log_file(spec.error_file, place, home),
    )
    given = env.given(task)
    asked = {"memory": spec.memory, "time_limit": spec.time_limit, **(task.asked or {})}
    return Job(
        token=token,
        run_id=run.id,
        run_name=run.name,
        key=task.key,
        name=task.name,
        attempt=attempt,
        command=spec.command,
        working_dir=place,
        env=given.values,
        init=given.script,
        timeout=asked.get("timeout", spec.timeout),
        resources=Resources(
            spec.partition,
            spec.cpus,
            asked["memory"],
            asked["time_limit"],
            spec.gres,
            tuple(spec.extra_args),
        ),
        paths=where,
        job_id=task.job_id if is_present else None,
        submitted_at=task.submitted_at,
        void_note=task.void_note,
        array=spec.array,
    )


def directory(task: Task) -> str:
    """A task's working directory, within what its run or its generator works in.

    Absolute, or beginning with `~`, or relative to the home. `task.run` is loaded.
    """
    return paths.within(task.base or task.run.folder, TaskSpec.stored(task.spec).working_dir)


def absolute(path: str, working_dir: str, home: PurePosixPath) -> PurePosixPath:
    """A path of a document made absolute: `~` is the home, the rest is in the working directory.

    >>> home = PurePosixPath("/home/ada")
    >>> [str(absolute("a.json", place, home)) for place in ("~", "~/p", "p", "/p")]
    ['/home/ada/a.json', '/home/ada/p/a.json', '/home/ada/p/a.json', '/p/a.json']
    """
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    if path.startswith("/"):
        return PurePosixPath(path)
    return (absolute(working_dir, "~", home) if working_dir != "~" else home) / path


def _log_file(path: str | None, working_dir: str, home: PurePosixPath) -> PurePosixPath | None:
    return None if path is None else absolute(path, working_dir, home)
