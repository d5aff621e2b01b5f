"""Why a task does not run yet, in plain words."""

from collections.abc import Collection, Mapping

from scripthut.core.states import BROKEN, TERMINAL, State

_SENTENCES: Mapping[State, str] = {
    State.SUBMITTING: "It is being handed to the scheduler.",
    State.SUBMITTED: "The scheduler has it; it was not seen in the queue yet.",
    State.SETTLING: "Its job has left the queue; the verdict is being asked for.",
    State.LOST: "The scheduler knows nothing of its job. What waits for it waits until you decide.",
}


def waiting(
    state: State, deps: Collection[State], reason: str | None, pause: str | None = None
) -> str | None:
    """A sentence about what a task waits for; None: it runs, or has ended.

    `deps` are the states of what it depends on; `reason` is the scheduler's, in words; `pause`
    says how its backend is paused: "is paused since ...".

    >>> waiting(State.PENDING, [State.COMPLETED, State.RUNNING], None)
    'It waits for 1 of the 2 tasks that it depends on.'
    >>> waiting(State.QUEUED, [], "Waits for resources (Resources)")
    'It is in the queue of the scheduler, which says: Waits for resources (Resources)'
    >>> waiting(State.PENDING, [], None, "is paused since noon.")
    'It can start once its backend is resumed. The backend is paused since noon.'
    """
    if state is State.QUEUED:
        said = f", which says: {reason}" if reason else " and gives no reason."
        return f"It is in the queue of the scheduler{said}"
    if state is not State.PENDING:
        return _SENTENCES.get(state)
    undone = [dep for dep in deps if dep not in TERMINAL]
    if undone:
        of = f"{len(undone)} of the {len(deps)} tasks" if len(deps) > 1 else "the task"
        return f"It waits for {of} that it depends on."
    if any(dep in BROKEN for dep in deps):
        return "A task that it depends on did not complete; it will not run."
    if pause:
        return f"It can start once its backend is resumed. The backend {pause}"
    return "It can start, and waits for a free place: a backend takes so many tasks at once."
