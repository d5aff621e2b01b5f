"""How a run would look: every task, what it asks for, the script of its job. Nothing is made."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from scripthut.backends.base import Backend
from scripthut.config import Config
from scripthut.core.errors import HutError
from scripthut.core.mask import mask, secrets
from scripthut.engine.commits.placing import wanted
from scripthut.engine.jobs import job_of
from scripthut.store.making.create import NewRun, as_tasks
from scripthut.store.models import Task

RUN_ID = "preview0"  # in paths and names, where a run's own id will stand
HOME = PurePosixPath("~")


def preview(
    config: Config,
    new: NewRun,
    backend: Backend,
    homes: Mapping[str, PurePosixPath],
    now: datetime,
) -> dict[str, Any]:
    """A run that nobody starts, as plain data."""
    home = homes.get(new.backend, HOME)
    names = frozenset(config.settings.secret_names)
    run, tasks = as_tasks(new, RUN_ID, now)
    notices = list(run.notices or ())
    if new.backend not in homes:
        notices.append(f"{new.backend} was not asked yet: `~` stands for the home directory there.")
    if run.folder is None and run.git_sha is not None:
        place = wanted(config, run)
        run.folder = f"{place.root}/{place.name}".replace("~", str(home), 1)
    return {
        "name": run.name,
        "title": run.title,
        "backend": run.backend,
        "source": run.source,
        "workflow": run.workflow,
        "git_repo": run.git_repo,
        "git_branch": run.git_branch,
        "git_sha": run.git_sha,
        "folder": run.folder,
        "params": dict(run.params or {}),
        "notices": notices,
        "tasks": [_task(task, backend, home, names) for task in tasks],
    }


def _task(
    task: Task, backend: Backend, home: PurePosixPath, secret_names: frozenset[str]
) -> dict[str, Any]:
    job = job_of(task, home)
    hidden = secrets(job.env, secret_names)
    try:
        script, problem = mask(backend.preview(job), hidden), None
    except HutError as error:
        script, problem = "", str(error)
    resources = job.resources
    return {
        "id": task.key,
        "name": task.name,
        "deps": [*task.deps, *(task.open_deps or ())],
        "working_dir": job.working_dir,
        "partition": resources.partition,
        "cpus": resources.cpus,
        "memory": resources.memory,
        "time_limit": resources.time_limit,
        "gres": resources.gres,
        "command": mask(job.command, hidden),
        "script": script,
        "problem": problem,
    }
