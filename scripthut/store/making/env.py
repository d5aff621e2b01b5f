"""A task's row and its run's -> the environment that its job gets, or would get now."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from scripthut.core.workflow import params
from scripthut.core.workflow.env import Resolved, resolve
from scripthut.core.workflow.rules import Layer, rules_of
from scripthut.store.models import Run, Task


def given(task: Task, kind: str | None = None) -> Resolved:
    """What the present attempt was given; what it would be given now, before it is claimed.

    `task.run` is loaded; `kind`: the backend's type, where it is known.
    """
    if task.env is not None:
        return Resolved.of(task.env)
    return resolved(task, layers(task.run), kind)


def layers(run: Run) -> list[Layer]:
    """A run's rules: of its backend, the server, its source, its documents."""
    return [Layer.of(kept) for kept in run.env or ()]


def resolved(task: Task, above: Sequence[Layer], kind: str | None = None) -> Resolved:
    """What a task's job gets when the layers above it are these."""
    own = Layer("task", rules_of(task.spec.get("env")))
    chosen = {name: params.text(value) for name, value in (task.run.params or {}).items()}
    return resolve(_seed(task, kind), [*above, own], chosen)


def _seed(task: Task, kind: str | None) -> Mapping[str, str]:
    """The variables that the server itself gives every task."""
    run = task.run
    known = {
        "SCRIPTHUT_BACKEND": run.backend,
        "SCRIPTHUT_BACKEND_TYPE": kind,
        "SCRIPTHUT_WORKFLOW": run.name,
        "SCRIPTHUT_RUN_ID": run.id,
        "SCRIPTHUT_CREATED_AT": _iso(run.created_at),
        "SCRIPTHUT_GIT_REPO": run.git_repo,
        "SCRIPTHUT_GIT_BRANCH": run.git_branch,
        "SCRIPTHUT_GIT_SHA": run.git_sha,
        "SCRIPTHUT_TASK_ID": task.key,
        "SCRIPTHUT_TASK_NAME": task.name,
        "SCRIPTHUT_ATTEMPT": str(task.attempt),
        **dict(params.exported(run.params or {})),
    }
    return {name: value for name, value in known.items() if value is not None}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
