"""PBS's words and what they mean: its kinds, states, exit codes, comments, refusals. Tables only.

Sources: the PBS Professional Reference Guide ("Job States", "Job Exit Status"), the Torque
Administrator Guide ("Job states", "Job exit status"), and what the commands printed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripthut.core.jobs import Phase
from scripthut.schedulers import slurm_words

MEMORY = "Ran out of memory: ask for more with `memory`"
TIME = "Reached its time limit of {limit}"

# Exit codes that are PBS's own: the word and the sentence for each.
_BOTH: Mapping[int, tuple[str, str]] = {
    -1: ("NOT_STARTED", "PBS could not start it: see its node's log"),
    -2: ("NOT_STARTED", "PBS could not start it after its files were there"),
    -3: ("NOT_STARTED", "PBS could not start it and was to try again"),
    -4: ("NODE_FAIL", "Its node failed, or PBS was restarted on it"),
    -5: ("NODE_FAIL", "Its node failed, and its checkpoint could not be moved"),
    -6: ("NODE_FAIL", "Its node failed, and its checkpoint could not be moved"),
    -7: ("NOT_STARTED", "PBS could not restart it"),
}
PRO_CODES: Mapping[int, tuple[str, str]] = {
    **_BOTH,
    -10: ("NOT_STARTED", "Its user is not known on the node"),
    -11: ("RERUN", "Was to run again"),
    -12: ("NOT_STARTED", "PBS could not restart it from its checkpoint"),
    -13: ("NOT_STARTED", "Its user's password was refused on the node"),
    -16: ("NOT_STARTED", "A hook of the cluster stopped it"),
    -17: ("NOT_STARTED", "A hook of the cluster deleted it"),
    -18: ("NOT_STARTED", "A hook of the cluster stopped it"),
    -19: ("NOT_STARTED", "A hook of the cluster deleted it"),
    -21: ("NOT_STARTED", "PBS could not start it: the node refused its user"),
    -24: ("CPU_LIMIT", "Used more processors than it asked for: ask for more with `cpus`"),
    -25: ("CPU_LIMIT", "Used more processors than it asked for: ask for more with `cpus`"),
    -26: ("OUT_OF_MEMORY", MEMORY),
    -27: ("OUT_OF_MEMORY", MEMORY),
    -28: ("CPU_LIMIT", "Reached its limit of processor time"),
    -29: ("TIMEOUT", TIME),
}
TORQUE_CODES: Mapping[int, tuple[str, str]] = {
    **_BOTH,
    -8: ("NOT_STARTED", "PBS could not start its script: is /bin/bash on the node?"),
    -9: ("NOT_STARTED", "PBS could not make its log files"),
    -10: ("OUT_OF_MEMORY", MEMORY),
    -11: ("TIMEOUT", TIME),
    -12: ("CPU_LIMIT", "Reached its limit of processor time"),
}


@dataclass(frozen=True)
class Kind:
    """What one kind of PBS is called, and what its commands can do."""

    name: str
    has_long_names: bool = False  # else a job's name has 15 characters
    has_json: bool = False
    has_history: bool = False  # `-x` lists jobs that ended; elsewhere `-x` means XML, or nothing
    has_select: bool = False  # `-l select=`, else `-l nodes=`
    has_qselect: bool = True
    reads_stdin: bool = True  # else qsub takes a file, and builds a shell line of its words
    codes: Mapping[int, tuple[str, str]] = field(default_factory=dict)


PRO = Kind("PBS Pro", True, True, True, True, codes=PRO_CODES)
# Its JSON is not always valid, and the oldest take no long names.
OLD_PRO = Kind("PBS Pro before 20", False, False, True, True, codes=PRO_CODES)
TORQUE = Kind("Torque", codes=TORQUE_CODES)
ON_SLURM = Kind("Slurm's commands for PBS", has_qselect=False, reads_stdin=False)
FIRST_WITH_JSON = 20

# qstat(1B), job_state. A job is over in F, C and X alone.
STATES: Mapping[str, tuple[str, Phase]] = {
    "Q": ("QUEUED", Phase.WAITING),
    "H": ("HELD", Phase.WAITING),
    "W": ("WAITING", Phase.WAITING),
    "T": ("TRANSIT", Phase.WAITING),
    "M": ("MOVED", Phase.WAITING),
    "R": ("RUNNING", Phase.RUNNING),
    "E": ("EXITING", Phase.RUNNING),
    "S": ("SUSPENDED", Phase.RUNNING),
    "U": ("SUSPENDED", Phase.RUNNING),
    "B": ("BEGUN", Phase.RUNNING),
}
OVER = ("F", "C", "X")
DELETED = "91"  # substate of a job that somebody ended

STATE_REASONS: Mapping[str, str] = {
    "W": "Its earliest start has not come yet",
    "T": "Is on its way to another queue",
    "M": "Was moved to another PBS server",
    "E": "Ending",
    "S": "Suspended by the scheduler",
    "U": "Suspended: its node's owner is at work",
}
# Letters of Hold_Types.
HOLDS: Mapping[str, str] = {
    "u": "Held: release it with `qrls`",
    "o": "Held by the cluster's operator",
    "p": "Held: a password is needed",
    "s": "Held by PBS",
}
# Words for qsub that would leave a job nobody finds again, or none, or many.
NOT_PASSED_ON = ("-I", "-J", "-t", "-z", "-X", "-N", "-o", "-e", "-k", "-j", "-S", "-f")
WAITS_FOR_THE_END = re.compile(r"-W(?:.*[\s,])?block\b", re.DOTALL)  # one of the attributes of -W

# Exit codes of the commands that are answers, not failures: no such job; it has finished.
NO_SUCH_JOB, HAS_FINISHED = 153, 35
NO_HISTORY = "not configured to maintain job history"

# Words after which qsub's job may have been taken all the same, or qdel's order may not.
UNKNOWN = (
    *slurm_words.UNKNOWN,
    "annot connect to server",
    "ouldn't connect to",
    "Communication failure",
    "End of File",
    "Protocol (ASN.1) error",
    "Protocol error",
    "Problem loading",
    "Premature end of message",
)
# Words for "not now": nothing is wrong with the job, it may be tried again later.
NOT_NOW = (
    *slurm_words.NOT_NOW,
    "Maximum number of jobs",
    "would exceed",
    "exceeds the queue limit",
    "Queue is not enabled",
    "Server shutting down",
    "Server is shutting down",
    "System error occurred",
    "annot create temporary file",
)
