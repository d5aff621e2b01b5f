"""Slurm's words and what they mean: states, reasons, refusals."""

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
    "REVOKED": Phase.FAILED,
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
    "REVOKED": "Was revoked: another cluster of the federation took it",
    "TIMEOUT": "Reached its time limit of {limit}",
}

# What shows a job that runs, but not as people expect.
RUNS: Mapping[str, str] = {
    "SUSPENDED": "Suspended by the scheduler",
    "STOPPED": "Stopped by a signal",
    "COMPLETING": "Ending",
    "STAGE_OUT": "Copying its data out",
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
    "MaxCpuPerAccount": "The account's limit of processors is reached",
    "MaxMemPerLimit": "Can never start: it asks for more memory than the cluster allows",
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
    "QOSMaxCpuPerUserLimit": "Your limit of processors is reached",
    "QOSMaxGRESPerUser": "Your limit of GPUs is reached",
    "QOSMaxJobsPerUserLimit": "Your limit of running jobs is reached",
    "QOSMaxMemoryPerUser": "Your limit of memory is reached",
    "QOSMaxSubmitJobPerUserLimit": "Your limit of submitted jobs is reached",
    "QOSMaxWallDurationPerJobLimit": "Can never start: its time limit is longer than allowed",
    "QOSResourceLimit": "The quality of service's limit of resources is reached",
    "QOSTimeLimit": "The quality of service's limit of time is reached",
    "QOSUsageThreshold": "Your usage is above what its quality of service allows",
    "QOSNotAllowed": "Can never start: its quality of service may not use this partition",
    "ReqNodeNotAvail": "The nodes it needs are not available",
    "Reservation": "Waits for its reservation",
    "ReservationDeleted": "Held: its reservation was deleted; release it with `scontrol release`",
    "Resources": "Waits for free resources",
    "SchedDefer": NOT_LOOKED_AT,
    "WaitingForScheduling": NOT_LOOKED_AT,
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": (
        "The nodes it could use are down, draining, or reserved for others"
    ),
    "SystemFailure": "Slurm itself, or its file system, failed",
    "TimeLimit": "Reached its time limit of {limit}",
    "job requeued in held state": "Held after a requeue: release it with `scontrol release`",
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


def why(reason: str) -> str | None:
    """Why a job waits, in words for people; None when Slurm gives no reason.

    >>> why("(ReqNodeNotAvail, UnavailableNodes:n1)"), why("None"), why("A new one")
    ('The nodes it needs are not available', None, 'A new one')
    """
    bare = reason.strip("()")
    if bare in ("None", ""):
        return None
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
    "Invalid job array specification",  # then fewer at once, and in the end one by one
)
# The same sentence is printed for too many jobs and for a job too large; only a word of
# SUBMIT-like limits before it, or none at all, means that waiting helps.
POLICY = "Job violates accounting/QOS policy"
LIMITS = ("QOS", "Assoc")
