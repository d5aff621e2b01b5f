"""A task's environment: every variable with where it came from, secrets masked."""

from dataclasses import dataclass

from flask import Blueprint, g
from flask.typing import ResponseReturnValue

from scripthut.core.mask import SIGN, is_secret, mask, secrets
from scripthut.core.workflow.env import Op, Resolved, shown
from scripthut.store import runs
from scripthut.store.making import env
from scripthut.store.models import Task
from scripthut.web.extensions import config

bp = Blueprint("environments", __name__, url_prefix="/api/v1/runs/<run_id>/tasks/<key>/env")


@dataclass(frozen=True)
class Line:
    """A variable as it may be shown. `is_seed`: no rule has touched it."""

    name: str
    value: str
    ops: tuple[Op, ...]
    is_seed: bool


@dataclass(frozen=True)
class Environment:
    """What a task's job was given, or (`is_given` false) would be given now."""

    lines: tuple[Line, ...]
    init: tuple[tuple[str, str], ...]  # (where it came from, lines of bash)
    is_given: bool


def environment(task: Task) -> Environment:
    """A task's environment as it may be shown; `task.run` is loaded."""
    kinds = {backend.name: backend.type for backend in config().backends}
    given = env.given(task, kinds.get(task.run.backend))
    names = config().settings.secret_names
    hidden = secrets(given.values, names)
    lines = tuple(_line(name, given, hidden, is_secret(name, names)) for name in given.variables)
    init = tuple((source, mask(text, hidden)) for source, text in given.init)
    return Environment(lines, init, task.env is not None)


def _line(name: str, given: Resolved, hidden: tuple[str, ...], is_hidden: bool) -> Line:
    variable = given.variables[name]
    ops = tuple(
        Op(op.source, op.op, SIGN if is_hidden else mask(op.contribution, hidden))
        for op in variable.ops
    )
    value = SIGN if is_hidden else mask(shown(variable.value), hidden)
    return Line(name, value, ops, all(op.op == "seed" for op in ops))


@bp.get("")
def api(run_id: str, key: str) -> ResponseReturnValue:
    """Give every variable with its story; `resolved`: the job was given exactly this."""
    return as_json(runs.find_task(g.session, run_id, key))


def as_json(task: Task) -> dict[str, object]:
    """A task's environment for programs."""
    found = environment(task)
    variables = {
        line.name: {
            "value": line.value,
            "ops": [
                {"source": op.source, "op": op.op, "contribution": op.contribution}
                for op in line.ops
            ],
        }
        for line in found.lines
    }
    return {
        "run_id": task.run_id,
        "task_id": task.key,
        "vars": variables,
        "extra_init": "\n".join(text for _, text in found.init),
        "init": [{"source": source, "text": text} for source, text in found.init],
        "resolved": found.is_given,
    }
