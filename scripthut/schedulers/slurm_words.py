"""Slurm's words and what they mean: states, reasons, refusals."""

import re
from collections.abc import Mapping

from scripthut.core.jobs import Phase
from scripthut.schedulers.slurm_limits import limit

# squeue(1) and sacct(1), "JOB STATE CODES"; the words of newer versions too.
PHASES: Mapping[str, Phase] = {
    "PENDING": Phase.WAITING,
    "CONFIGURING": Phase.WAITING,
    "REQUEUED": Phase.WAITING,
    "REQUEUE_FED": Phase.WAITING,
    "REQUEUE_HOLD": Phase.WAITING,
    "RESV_DEL_HOLD": Phase.WAITING,
    "SPECIAL_EXIT": Phase.WAITING,  # requeued and held
    "POWER_UP_NODE": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "COMPLETING": Phase.RUNNING,
    "EXPEDITING": Phase.RUNNING,
    "RESIZING": Phase.RUNNING,
    "REVOKED": Phase.RUNNING,  # on another cluster: no ending, nor a wait that voids a note
    "SIGNALING": Phase.RUNNING,
    "STAGE_OUT": Phase.RUNNING,
    "STOPPED": Phase.RUNNING,
    "SUSPENDED": Phase.RUNNING,
    "UPDATE_DB": Phase.RUNNING,
    "COMPLETED": Phase.DONE,
    "CANCELLED": Phase.CANCELLED,
    "BOOT_FAIL": Phase.FAILED,
    "DEADLINE": Phase.FAILED,
    "FAILED": Phase.FAILED,
    "LAUNCH_FAILED": Phase.FAILED,
    "NODE_FAIL": Phase.FAILED,
    "OUT_OF_MEMORY": Phase.FAILED,
    "PREEMPTED": Phase.FAILED,
    "RECONFIG_FAIL": Phase.FAILED,
    "TIMEOUT": Phase.FAILED,
}

# How a job ended, where the state word alone says it. {limit} is the job's time limit.
ENDS: Mapping[str, str] = {
    "BOOT_FAIL": "Its node did not boot",
    "DEADLINE": "Reached its deadline",
    "LAUNCH_FAILED": "Slurm could not launch it",
    "NODE_FAIL": "Its node failed",
    "OUT_OF_MEMORY": "Ran out of memory: ask for more with `memory`",
    "PREEMPTED": "Was preempted by a job of higher priority",
    "RECONFIG_FAIL": "Its nodes could not be configured",
    "TIMEOUT": "Reached its time limit of {limit}",
}

# What shows a job that runs, but not as people expect.
RUNS: Mapping[str, str] = {
    "SUSPENDED": "Suspended by the scheduler",
    "STOPPED": "Stopped by a signal",
    "COMPLETING": "Ending",
    "EXPEDITING": "Is about to be requeued, before all others",
    "RESIZING": "Its size is being changed",
    "REVOKED": "Another cluster of the federation has it: its exit note alone tells how it ends",
    "SIGNALING": "Is being sent a signal",
    "STAGE_OUT": "Copying its data out",
    "UPDATE_DB": "Its record is being written to the accounting",
}

_HELD_AFTER_REQUEUE = "Held after a requeue: release it with `scontrol release`"
_RESERVATION_GONE = "Held: its reservation was deleted; release it with `scontrol release`"

# Why a job waits, where the state word alone says it.
WAITS: Mapping[str, str] = {
    "CONFIGURING": "Its nodes are being prepared",
    "POWER_UP_NODE": "Its nodes are being powered up",
    "REQUEUE_HOLD": _HELD_AFTER_REQUEUE,
    "RESV_DEL_HOLD": _RESERVATION_GONE,
    "SPECIAL_EXIT": "Held after a special exit: release it with `scontrol release`",
}

NOT_LOOKED_AT = "Not looked at by the scheduler yet"

# squeue(1), "JOB REASON CODES". What is not here is shown as Slurm says it.
REASONS: Mapping[str, str] = {
    "AccountingPolicy": "An accounting limit is reached",
    "AccountNotAllowed": "Can never start: its account may not use this partition",
    "AssociationJobLimit": "The account's limit of jobs is reached",
    "AssociationResourceLimit": "The account's limit of resources is reached",
    "AssociationTimeLimit": "The account's limit of time is reached",
    "BadConstraints": "Can never start: no node has what it asks for",
    "BeginTime": "Its earliest start has not come yet (also after a requeue, for two minutes)",
    "BlockFreeAction": "Its nodes are being freed",
    "BlockMaxError": "Its nodes could not be set up",
    "BurstBufferOperation": "Its burst buffer could not be set up: see the cluster's administrator",
    "BurstBufferResources": "Waits for room in the burst buffer",
    "BurstBufferStageIn": "Its data are being copied in",
    "Cleaning": "Its earlier run is still being cleaned up",
    "Constraints": "Waits for nodes with the features it asks for",
    "DeadLine": "Can never start: it would not end before its deadline",
    "Dependency": "Waits for another job",
    "DependencyNeverSatisfied": "Can never start: a job it depends on failed",
    "FedJobLock": "Another cluster of the federation considers it",
    "FrontEndDown": "The front end that would start it is down",
    "InactiveLimit": "It was inactive for too long",
    "InvalidAccount": "Can never start: its account is not valid",
    "InvalidQOS": "Can never start: its quality of service is not valid",
    "JobArrayTaskLimit": "The array's limit of running tasks is reached",
    "JobHeldAdmin": "Held by the cluster's administrator",
    "JobHoldMaxRequeue": "Held: it was requeued too often; release it with `scontrol release`",
    "JobHeldUser": "Held: release it with `scontrol release`",
    "JobLaunchFailure": (
        "Its script was killed (out of memory? its error log may say so), or Slurm could not "
        "launch it (is its log directory still there?)"
    ),
    "Licenses": "Waits for a licence",
    "MaxMemPerLimit": "Can never start: it asks for more memory than the cluster allows",
    "MaxPoweredUpNodes": "The cluster's limit of nodes that are powered up is reached",
    "MpiPortsBusy": "Waits for ports that its MPI reserves",
    "NodeDown": "Its node went down",
    "NonZeroExitCode": "Exited with a code other than 0",
    "OutOfMemory": "Ran out of memory: ask for more with `memory`",
    "PartitionConfig": "Can never start: it asks for more than the partition has",
    "PartitionDown": "The partition is down",
    "PartitionInactive": "The partition takes no jobs",
    "PartitionNodeLimit": "Can never start: it asks for more nodes than the partition allows",
    "PartitionTimeLimit": "Can never start: its time limit is longer than the partition allows",
    "Priority": "Jobs of higher priority are before it",
    "PowerNotAvail": "Waits for electrical power",
    "PowerReserved": "Waits for electrical power that is reserved",
    "Prolog": "Its node is being prepared",
    "QOSJobLimit": "Your limit of jobs is reached",
    "QOSResourceLimit": "The quality of service's limit of resources is reached",
    "QOSTimeLimit": "The quality of service's limit of time is reached",
    "QOSUsageThreshold": "Your usage is above what its quality of service allows",
    "QOSNotAllowed": "Can never start: its quality of service may not use this partition",
    "ReqNodeNotAvail": "The nodes it needs are not available",
    "Reservation": "Waits for its reservation",
    "ReservationDeleted": _RESERVATION_GONE,
    "ReservationInvalid": "Can never start: its reservation is not valid",
    "Resources": "Waits for free resources",
    "SchedDefer": NOT_LOOKED_AT,
    "WaitingForScheduling": NOT_LOOKED_AT,
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": (
        "The nodes it could use are down, draining, or reserved for others"
    ),
    "SystemFailure": "Slurm itself, or its file system, failed",
    "TimeLimit": "Reached its time limit of {limit}",
    "job requeued in held state": _HELD_AFTER_REQUEUE,
    "launch failed requeued held": (
        "Held: it could not be launched and was requeued; see the node, then `scontrol release`"
    ),
}

# Reasons of jobs that wait for a place alone: a new job would wait behind them.
COMPETING = (REASONS["Resources"], REASONS["Priority"], NOT_LOOKED_AT)

# What sacct, sshare and sacctmgr say where no accounts are kept.
NO_ACCOUNTING = (
    "accounting storage is disabled",
    "not running a supported accounting_storage",
)


# Slurm's own sign, where a signal's number stands, for a job that it could not start.
NO_START_SIGN = 53
NO_START = "Slurm could not start it: its working directory or log file cannot be opened (0:53)"
_RAISED = re.compile(r"\(?RaisedSignal:(\d{1,3})\(.*")


def raised(reason: str) -> int | None:
    """The number in a newer Slurm's `RaisedSignal:9(Killed)`; None in any other reason."""
    match = _RAISED.fullmatch(reason)
    return int(match[1]) if match else None


def why(reason: str) -> str | None:
    """Why a job waits, in words for people; None when Slurm gives no reason.

    >>> why("(ReqNodeNotAvail, UnavailableNodes:n1)"), why("None"), why("A new one")
    ('The nodes it needs are not available', None, 'A new one')
    >>> why("RaisedSignal:9(Killed)")
    'Ended by signal 9'
    """
    is_wrapped = reason.startswith("(") and reason.endswith(")")
    bare = reason[1:-1] if is_wrapped else reason
    if bare in ("None", ""):
        return None
    if number := raised(bare):
        return NO_START if number == NO_START_SIGN else f"Ended by signal {number}"
    return REASONS.get(bare) or REASONS.get(bare.partition(",")[0]) or limit(bare) or bare


# Words for sbatch that would leave a job nobody finds again, or none, or many.
NOT_PASSED_ON = (
    *("-a", "--array", "-M", "--clusters", "--cluster-constraint", "-W", "--wait", "--wrap"),
    *("--test-only", "-h", "--help", "-V", "--version", "--usage", "-Q", "--quiet", "--uid"),
    *("-J", "--job-name", "--comment", "-o", "--output", "-e", "--error", "-i", "--input"),
    *("--ignore-pbs", "--parsable", "--open-mode"),
)

# sbatch's words after which the job may have been taken all the same.
UNKNOWN = (
    "Socket timed out",
    "Unable to contact slurm controller",
    "connect failure",
    "Connection reset",
    "Connection refused",
    "Connection timed out",
    "Broken pipe",
    "Zero Bytes were transmitted",
    "Communication connection failure",
    "Communication shutdown failure",
    "Message receive failure",
    "Message send failure",
    "Unexpected message received",
    "standby mode",
    "timed out after",  # our own limit on the command
)

# sbatch's words for "not now": nothing is wrong with the job, it may be tried again later.
NOT_NOW = (
    "SubmitJob",  # QOSMaxSubmitJobPerUserLimit, AssocMaxSubmitJobLimit, AssocGrpSubmitJobsLimit ...
    "temporarily unable to accept job",
    "Resource temporarily unavailable",
    "Protocol authentication error",  # munge is down; the controller was never reached
    "Munge encode failed",
    "Disk quota exceeded",
    "No space left on device",
    "Stale file handle",
    "I/O error writing script/environment to file",  # the controller's disk is full
    "Could not establish a configuration source",  # the controller was never reached
    "Unable to process configuration file",  # it is being written anew, at this moment
    "Required partition not available",  # inactive or drain: a maintenance window
    "Invalid job array specification",  # then fewer at once, and in the end one by one
)
# The same sentence is printed for too many jobs and for a job too large; only a word of
# SUBMIT-like limits before it, or none at all, means that waiting helps.
POLICY = "Job violates accounting/QOS policy"
LIMITS = ("QOS", "Assoc")
