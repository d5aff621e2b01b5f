"""The test cluster itself: it works, can be broken and mended, and never outlives its tests."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.fixtures import Cluster

ROOT = Path(__file__).parents[2]
STARTS = """
from tests.cluster.fixtures import start_cluster
import time
with start_cluster(HUT_SLURM="0") as cluster:
    print(cluster.base, cluster.port, flush=True)
    time.sleep(100)
"""


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.05)


@pytest.mark.slurm
class TestSlurm:
    def test_a_job_runs_and_is_accounted_for(self, slurm: Cluster, tmp_path: Path) -> None:
        tmp_path.chmod(0o777)
        job = slurm.as_user(["sbatch", "--parsable", "-o", "/dev/null", "--wrap", "exit 3"]).strip()
        until(lambda: slurm.sacct("-X", "-j", job, "-o", "State,ExitCode") == "FAILED|3:0\n")

    def test_accounting_can_lag(self, slurm: Cluster) -> None:
        slurm.fault("acct-lag-on")
        job = slurm.as_user(["sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"]).strip()
        until(lambda: not slurm.squeue("-t", "PD,R,CG", "-o", "%A"))
        assert slurm.sacct("-X", "-j", job, "-o", "State") == ""
        slurm.fault("acct-lag-off")
        until(lambda: slurm.sacct("-X", "-j", job, "-o", "State") == "COMPLETED\n")

    @pytest.mark.parametrize(
        "fault",
        ["ctld-stop", "ctld-hang", "dbd-kill", "db-hang", "node-kill n1", "node-drain n1"],
    )
    def test_what_was_broken_is_mended(self, slurm: Cluster, fault: str) -> None:
        slurm.fault(*fault.split())
        slurm.mend()
        job = slurm.as_user(["sbatch", "--parsable", "-o", "/dev/null", "--wrap", "true"]).strip()
        until(lambda: slurm.sacct("-X", "-j", job, "-o", "State") == "COMPLETED\n", 60)


@pytest.mark.sshd
def test_it_is_gone_when_its_process_was_killed(login_node: Cluster) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STARTS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    base, port = process.stdout.readline().split()
    assert Path(base, "run", "sshd.pid").exists()
    assert int(port) != login_node.port
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not Path(base).exists())
    assert (login_node.base / "run" / "sshd.pid").exists()


@pytest.mark.sshd
def test_an_unknown_fault_is_an_error(login_node: Cluster) -> None:
    with pytest.raises(RuntimeError, match="no fault is called"):
        login_node.fault("gremlins")
