"""What this machine has, and who asks for more."""

import os

from scripthut.config import machine, parse
from scripthut.core.workflow.document import TaskSpec

SPEC = {"name": "a", "command": "true"}


def test_a_server_that_may_use_some_processors_runs_no_more_tasks_than_those() -> None:
    """Pinned to one processor, as by taskset or a control group of cpus."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        (local,) = parse({"backends": [{"type": "local", "name": "here"}]}).backends
    finally:
        os.sched_setaffinity(0, mine)
    assert local.max_concurrent == 1


def test_what_is_asked_for_beyond_the_machine_is_said() -> None:
    tasks = [TaskSpec(id=f"t{n}", cpus=8, **SPEC) for n in range(5)]
    tasks.append(TaskSpec(id="big", memory="64G", **SPEC))
    assert machine.beyond(tasks, 4, 32 * 1024**3) == [
        "t0, t1, t2 and 2 more ask for more processors than this machine has (4), and get that.",
        "big asks for more memory than this machine has (32.0 GiB), and gets that.",
    ]
    assert machine.beyond(tasks, 8, 64 * 1024**3) == []


def test_gpus_are_not_shared_out_here_and_that_is_said() -> None:
    tasks = [TaskSpec(id="fit", gres="gpu:1", **SPEC), TaskSpec(id="plot", **SPEC)]
    assert machine.beyond(tasks, 8, 64 * 1024**3) == [
        "fit asks for gpu:1, which this machine does not share out: every task sees what there is."
    ]


def test_the_limits_of_a_backend_count_as_the_machine() -> None:
    both = [
        {"type": "local", "name": "here", "cpus": 2},
        {"type": "slurm", "name": "hpc", "ssh": {"host": "hpc"}},
    ]
    config = parse({"backends": both})
    tasks = [TaskSpec(id="a", cpus=3, **SPEC)]
    assert len(config.beyond("here", tasks)) == 1
    assert config.beyond("hpc", tasks) == []
