"""When a run will have ended, judged by what it has done so far."""

LEAST = 0.02  # of the run must be done, and
TASKS = 2  # so many tasks, before anything is said


def remaining(done: float, total: int, seconds: float) -> float | None:
    """Seconds until a run has ended; None: too little is done to tell.

    `done` counts tasks, with parts of those that run; `seconds` are those since the first began.

    >>> remaining(50.0, 100, 600.0), remaining(1.0, 100, 600.0)
    (600.0, None)
    """
    if done < TASKS or done < LEAST * total or seconds <= 0:
        return None
    return (total - done) * seconds / done
