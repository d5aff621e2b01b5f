"""A row of the database as the job a backend knows."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath

from scripthut import ids
from scripthut.core import paths
from scripthut.core.document import TaskSpec
from scripthut.core.jobs import Job, Resources
from scripthut.store.models import Run, Task


def job_of(task: Task, home: PurePosixPath) -> Job:
    """The job of a task's present attempt. `task.run` is loaded; its log directory may be new."""
    run, spec = task.run, TaskSpec.stored(task.spec)
    logs = PurePosixPath(run.log_dir) if run.log_dir else paths.log_dir(home, run.name)
    token = task.token or ids.token(run.id, task.n, task.attempt)
    where = paths.for_task(
        logs,
        run.id,
        task.key,
        task.attempt,
        token,
        out=_absolute(spec.output_file, spec.working_dir, home),
        err=_absolute(spec.error_file, spec.working_dir, home),
    )
    return Job(
        token=token,
        run_id=run.id,
        run_name=run.name,
        key=task.key,
        name=task.name,
        attempt=task.attempt,
        command=spec.command,
        working_dir=spec.working_dir,
        env={**spec.env, **_seed(run, task)},
        resources=Resources(spec.partition, spec.cpus, spec.memory, spec.time_limit, spec.gres),
        paths=where,
        job_id=task.job_id,
        submitted_at=task.submitted_at,
    )


def _seed(run: Run, task: Task) -> Mapping[str, str]:
    """The variables that the server itself gives every task."""
    return {
        "SCRIPTHUT_BACKEND": run.backend,
        "SCRIPTHUT_WORKFLOW": run.name,
        "SCRIPTHUT_RUN_ID": run.id,
        "SCRIPTHUT_CREATED_AT": _iso(run.created_at),
        "SCRIPTHUT_TASK_ID": task.key,
        "SCRIPTHUT_TASK_NAME": task.name,
        "SCRIPTHUT_ATTEMPT": str(task.attempt),
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _absolute(path: str | None, working_dir: str, home: PurePosixPath) -> PurePosixPath | None:
    """A path of a document made absolute: `~` is the home, the rest is in the working directory."""
    if path is None:
        return None
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    base = _absolute(working_dir, "~", home) if working_dir != "~" else home
    return (base or home) / path
