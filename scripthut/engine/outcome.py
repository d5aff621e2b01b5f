"""What an ending means for a task: a document to read first, another attempt, or the end."""

from datetime import datetime, timedelta

from scripthut.core.causes import Cause
from scripthut.core.judge import Verdict
from scripthut.core.retrying import WORDS, again
from scripthut.core.states import Event
from scripthut.core.workflow.spec import TaskSpec
from scripthut.store.models import Task

READING = "Its command completed, and its document is being read"


def outcome(task: Task, verdict: Verdict, now: datetime) -> Verdict:
    """The verdict on a task's job, as it counts for the task.

    A generator has not completed before its document has joined the run. A failure for which its
    policy tries again is none yet.
    """
    if verdict.event is Event.EXITED_OK and task.spec.get("generates_source"):
        return Verdict(Event.PRODUCED, {**verdict.facts, "reason": READING})
    if verdict.event is not Event.EXITED_BAD or task.cancel_asked_at is not None:
        return verdict
    if not task.spec.get("retry"):
        return verdict
    cause = Cause(str(verdict.facts.get("cause") or Cause.ANY))
    more = again(TaskSpec.stored(task.spec), task.attempt, cause, task.asked)
    if more is None:
        return verdict
    why = str(verdict.facts.get("reason") or WORDS[cause].capitalize())
    facts = {
        **verdict.facts,
        "reason": f"{why.rstrip('.')}; {more.words}",
        "retry_at": now + timedelta(seconds=more.wait),
        "asked": dict(more.asked) or None,
    }
    return Verdict(Event.WILL_RETRY, facts)
