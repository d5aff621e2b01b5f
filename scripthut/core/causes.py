"""Why a job ended badly, as far as somebody but its command is to blame: what may help then."""

from collections.abc import Mapping
from enum import StrEnum


class Cause(StrEnum):
    """A reason for which a task may be tried again."""

    NODE_FAILURE = "node_failure"
    PREEMPTED = "preempted"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    ANY = "any"  # in a policy: whatever the reason; of a task: its command ended with an error


# The words by which schedulers, and our own job script, tell of an end.
WORDS: Mapping[str, Cause] = {
    "BOOT_FAIL": Cause.NODE_FAILURE,
    "LAUNCH_FAILED": Cause.NODE_FAILURE,
    "NODE_FAIL": Cause.NODE_FAILURE,
    "RECONFIG_FAIL": Cause.NODE_FAILURE,
    "OUT_OF_MEMORY": Cause.OUT_OF_MEMORY,
    "PREEMPTED": Cause.PREEMPTED,
    "DEADLINE": Cause.TIMEOUT,
    "TIMEOUT": Cause.TIMEOUT,
}


def cause(word: str) -> Cause:
    """The cause that a scheduler's word for an end tells of.

    >>> cause("NODE_FAIL"), cause("FAILED")
    (<Cause.NODE_FAILURE: 'node_failure'>, <Cause.ANY: 'any'>)
    """
    return WORDS.get(word, Cause.ANY)
