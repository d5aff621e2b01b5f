"""What clients of older versions ask for and read, by the names that it had then."""

from collections.abc import Mapping

from scripthut.core.states import State
from scripthut.store.models import BackendRow
from scripthut.store.runs import RunRow


def of_run(run: RunRow) -> dict[str, object]:
    """A run's facts; `completed_count` is of all that ended, however."""
    return {
        "workflow_name": run.name,
        "source_name": run.source,
        "backend_name": run.backend,
        "task_count": run.total,
        "completed_count": run.done,
        "submitted_count": run.total - run.counts.get(State.PENDING, 0),
        "status_counts": {state.value: count for state, count in run.counts.items()},
    }


def of_error(said: str) -> dict[str, object]:
    """An error's sentence."""
    return {"detail": said}


def of_cancel(is_ordered: bool) -> dict[str, object]:
    """Whether a cancellation was ordered: of what has ended none is."""
    return {"cancelled": is_ordered}


def of_backend(row: BackendRow | None) -> dict[str, object]:
    """Whether a backend answered when it was last asked."""
    is_connected = row is not None and row.answered_at is not None and row.failing_since is None
    return {"connected": is_connected}


def one_task(asked: Mapping[str, object]) -> dict[str, object]:
    """A request `{"task", "backend", "run_name"}` as one for a run of that task alone."""
    task = asked.get("task")
    own = (task.get("name") or task.get("id")) if isinstance(task, Mapping) else None
    return {
        "backend": asked.get("backend"),
        "name": asked.get("run_name") or own,
        "document": [task],
        "request_key": asked.get("request_key"),
    }
