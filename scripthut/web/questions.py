"""Questions before what costs computing: a page each, which opens as a dialog where scripts run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flask import Blueprint, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.costs import Hours
from scripthut.core.errors import Conflict
from scripthut.core.units import clock, size
from scripthut.core.workflow.params import Param
from scripthut.ids import new_nonce
from scripthut.store import runs, stakes, usage
from scripthut.store.keeping import retention
from scripthut.store.machines import queue
from scripthut.store.making.reruns import Mode, params_of
from scripthut.store.models import Run, Task
from scripthut.store.stakes import Loss, Spending
from scripthut.web.costs import cost
from scripthut.web.filters import used
from scripthut.web.htmx import htmx

bp = Blueprint("questions", __name__)


@dataclass(frozen=True)
class Question:
    """What is asked, and what each answer does."""

    title: str
    said: tuple[str, ...]  # sentences: what it moves, and what that costs
    yes: str
    action: str  # where the yes is sent
    back: str  # the page that it is asked on
    no: str = "Not now"
    ends: bool = False  # it ends computing, rather than starting some
    leads_on: bool = False  # the answer is another page
    sent: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)  # what may be chosen otherwise
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)  # lists, by their headings
    texts: Mapping[str, str] = field(default_factory=dict)  # what may be said with it: labels


@bp.get("/runs/<run_id>/ask/<any(cancel, retry, rerun, 'rerun-failed', delete):what>")
def of_run(run_id: str, what: str) -> str:
    """Ask whether a run is cancelled, its tasks are tried again, it is run again, or forgotten."""
    return asked(OF_RUN[what](runs.find_run(g.session, run_id)))


@bp.get("/runs/<run_id>/tasks/<key>/ask/<any(cancel, retry):what>")
def of_task(run_id: str, key: str, what: str) -> str:
    """Ask whether a task is cancelled or tried again."""
    return asked(OF_TASK[what](runs.find_task(g.session, run_id, key)))


@bp.get("/queue/<backend>/<path:job_id>/ask")
def of_job(backend: str, job_id: str) -> str:
    """Ask whether a job of a queue is cancelled."""
    job, just = queue.find(g.session, backend, job_id).job, request.args.get("just")
    name = f"the waiting part of array {job.job_id}" if job.key.endswith("_[]") else job.job_id
    question = Question(
        title=f"Cancel {name} on {backend}?",
        said=(f"{job.name}, of {job.owner}.",),
        yes="Cancel it",
        action=url_for("queue.cancel", backend=backend, job_id=job.key, just=just),
        back=url_for("queue.index", backend=just),
        no="Let it go on",
        ends=True,
    )
    return asked(question)


def asked(question: Question) -> str:
    """A question as a page, or as what its dialog holds."""
    name = "_question" if htmx.targets("question") else "page"
    return render_template(f"questions/{name}.html", question=question)


def done(said: str, address: str) -> ResponseReturnValue:
    """Answer the dialog: a line of news, and the open page asks at once what has changed."""
    answer = make_response(
        render_template("questions/_done.html", said=said, address=address, id=new_nonce())
    )
    answer.headers["HX-Trigger"] = "ordered"
    return answer


def _cancel_run(run: Run) -> Question:
    loss = stakes.of_cancel(g.session, run.id, utcnow())
    if not loss.tasks:
        raise Conflict(f"All tasks of the run {run.id} have ended.")
    return Question(
        title=f"Cancel {run.name}?",
        said=_of_loss(run.backend, loss),
        yes=f"Cancel {some(loss.tasks, 'task')}",
        action=url_for("runs.cancel", run_id=run.id),
        back=url_for("runs.show", run_id=run.id),
        no="Let it go on",
        ends=True,
    )


def _cancel_task(task: Task) -> Question:
    loss = stakes.of_cancel(g.session, task.run_id, utcnow(), task)
    if not loss.tasks:
        raise Conflict(f"The task {task.key} has ended: it is {task.state}.")
    waits = runs.dependents(g.session, task.run_id, task.key, 1)
    return Question(
        title=f"Cancel {task.key}?",
        said=(
            *_of_loss(task.run.backend, loss),
            *(["What waits for it will not run."] if waits else []),
        ),
        yes="Cancel the task",
        action=url_for("tasks.cancel", run_id=task.run_id, key=task.key),
        back=url_for("tasks.show", run_id=task.run_id, key=task.key),
        no="Let it go on",
        ends=True,
    )


def _retry_run(run: Run) -> Question:
    may_cost = stakes.of_retry(g.session, run.id)
    first = may_cost.tasks - may_cost.following
    return Question(
        title=f"Try {some(first, 'task')} of {run.name} again?",
        said=_of_spending(run.backend, may_cost, "As new attempts, in this run."),
        yes=f"Try {some(first, 'task')} again",
        action=url_for("retries.run", run_id=run.id),
        back=url_for("runs.show", run_id=run.id),
    )


def _retry_task(task: Task) -> Question:
    may_cost = stakes.of_retry(g.session, task.run_id, task)
    return Question(
        title=f"Try {task.key} again?",
        said=_of_spending(
            task.run.backend, may_cost, f"As attempt {task.attempt + 1}, in this run."
        ),
        yes="Try again",
        action=url_for("retries.task", run_id=task.run_id, key=task.key),
        back=url_for("tasks.show", run_id=task.run_id, key=task.key),
    )


def _rerun(mode: Mode) -> Callable[[Run], Question]:
    def question(run: Run) -> Question:
        may_cost = stakes.of_rerun(g.session, run, mode)
        what = f"A new run of {some(may_cost.tasks, 'task')}, which names this one as its origin."
        if may_cost.taken_over:
            what += f" It takes over the {may_cost.taken_over} that completed."
        return Question(
            title=f"Run {run.name} again?",
            said=(
                *_of_spending(run.backend, may_cost, what),
                f"This run has used {_hours(run.backend, usage.ended(run))}.",
            ),
            yes=f"Run {some(may_cost.tasks, 'task')}",
            action=url_for("retries.rerun", run_id=run.id),
            back=url_for("runs.show", run_id=run.id),
            leads_on=True,
            sent={"mode": mode.value, "request_key": new_nonce()},
            params=params_of(run) if mode is Mode.ALL else {},
        )

    return question


def _delete(run: Run) -> Question:
    if run.ended_at is None:
        raise Conflict(f"The run {run.id} has not ended: cancel it first.")
    held = retention.of_run(g.session, run).bytes or 0
    return Question(
        title=f"Delete {run.name}?",
        said=(
            f"The server forgets it, with {size(held)} of files and logs that it keeps.",
            f"What it wrote on {run.backend} stays there. This cannot be undone.",
        ),
        yes="Delete the run",
        action=url_for("retention.delete", run_id=run.id),
        back=url_for("runs.show", run_id=run.id),
        no="Keep it",
        ends=True,
        leads_on=True,
    )


OF_RUN: Mapping[str, Callable[[Run], Question]] = {
    "cancel": _cancel_run,
    "retry": _retry_run,
    "rerun": _rerun(Mode.ALL),
    "rerun-failed": _rerun(Mode.FAILED),
    "delete": _delete,
}
OF_TASK: Mapping[str, Callable[[Task], Question]] = {"cancel": _cancel_task, "retry": _retry_task}


def _of_loss(backend: str, loss: Loss) -> tuple[str, ...]:
    said = []
    if loss.running:
        verb = "runs and has" if loss.running == 1 else "run and have"
        said.append(
            f"{some(loss.running, 'task')} {verb} used {_hours(backend, loss.spent)} so far."
        )
    if loss.waiting:
        verb = "waits" if loss.waiting == 1 else "wait"
        said.append(f"{some(loss.waiting, 'task')} that {verb} will not run.")
    if loss.lost:
        said.append(
            f"{some(loss.lost, 'lost task')} will be given up; nobody knows of a job of it."
        )
    return tuple(said)


def _of_spending(backend: str, found: Spending, what: str) -> tuple[str, ...]:
    said = [what]
    if found.following:
        verb = "waits" if found.following == 1 else "wait"
        said.append(f"{some(found.following, 'task')} that {verb} for them will follow.")
    if found.tasks > found.unlimited:
        said.append(f"By their time limits they use at most {_hours(backend, found.most)}.")
    if found.raised:
        more = [f"{size(found.memory)} of memory"] if found.memory else []
        more += [f"{clock(found.time_limit)} of time"] if found.time_limit else []
        verb = "asks" if found.raised == 1 else "ask"
        told = f", up to {' and '.join(more)}" if more else ""
        said.append(
            f"{some(found.raised, 'task')} of them {verb} for more than the document says{told}."
        )
    if found.in_all != found.most:
        said.append(
            "Their policies may add attempts by themselves: with all of those at most "
            f"{_hours(backend, found.in_all)}."
        )
    if found.unlimited:
        verb = "has" if found.unlimited == 1 else "have"
        said.append(f"{some(found.unlimited, 'task')} {verb} no time limit.")
    return tuple(said)


def _hours(backend: str, spent: Hours) -> str:
    price = cost(backend, spent)
    return used(spent) + (f", about {price}" if price else "")


def some(count: int, noun: str) -> str:
    """A number of things, in words.

    >>> some(1, "task"), some(2000, "task")
    ('1 task', '2,000 tasks')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
