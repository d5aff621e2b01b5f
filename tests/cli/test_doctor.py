"""`scripthut doctor` on real machines."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.cluster.fixtures import Cluster

Found = Mapping[str, tuple[str, str, str | None]]
Doctor = Callable[..., tuple[int, Found]]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Ask about one backend: the code with which it ends, and what it finds."""

    def ask(node: Cluster | None, **more: object) -> tuple[int, Found]:
        part: dict[str, object] = {"type": "local", "name": "x"}
        if node is not None:
            ssh = {
                **{"host": node.host, "port": node.port, "user": node.user},
                **{"key_path": str(node.key), "known_hosts": str(node.known_hosts)},
            }
            part = {"type": "slurm", "name": "x", "ssh": ssh}
        config = {"backends": [part | more], "settings": {"data_dir": str(tmp_path / "data")}}
        (tmp_path / "scripthut.yaml").write_text(yaml.safe_dump(config))
        argv = [sys.executable, "-m", "scripthut.cli", "doctor", "x", "--json"]
        done = subprocess.run(
            [*argv, "--config", str(tmp_path / "scripthut.yaml")],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)["x"]
        return done.returncode, {f["what"]: (f["level"], f["said"], f["todo"]) for f in told}

    return ask


def test_this_machine_is_well(doctor: Doctor) -> None:
    code, found = doctor(None)
    assert code == 0
    assert "CPUs idle" in found["machine"][1]


@pytest.mark.slurm
def test_a_cluster_in_order_has_nothing_to_do(doctor: Doctor, slurm: Cluster) -> None:
    code, found = doctor(slurm, default_partition="normal", account="proj1")
    assert code == 0, found
    assert {level for level, _, _ in found.values()} <= {"ok", "note"}
    assert found["host key"][1].endswith(", as known")
    assert found["key"][1] == f"{slurm.key} opens"
    asked = {"login", "login shell", "python3", "clock", "commands", "logs", "clones", "queue"}
    assert asked | {"accounting", "disk"} <= found.keys()
    assert found["accounting"][1] == "is kept"
    assert "soonest" in found["partitions"][1]
    assert found["arrays"][1] == "up to 1000 tasks with `array: true` in one submission"


@pytest.mark.slurm
def test_what_needs_doing_is_said_with_what_to_do(doctor: Doctor, slurm: Cluster) -> None:
    slurm.fault("hide", "sacct")
    slurm.fault("noise", "Welcome!")
    code, found = doctor(slurm, default_partition="nowhere", account="none")
    assert code == 1
    assert found["accounting"][0] == "note"
    assert "sacct did not answer" in found["accounting"][1]
    assert found["shell start-up"][:2] == ("note", "it prints: Welcome!")
    assert found["partition"][:2] == ("bad", "nowhere is not there")
    assert found["account"][0] == "bad"
    assert all(todo for level, _, todo in found.values() if level == "bad")


@pytest.mark.sshd
def test_a_login_that_fails_is_one_sentence(doctor: Doctor, login_node: Cluster) -> None:
    login_node.fault("ssh-stop")
    code, found = doctor(login_node)
    assert code == 1
    assert list(found) == ["connection"]
    assert "127.0.0.1" in found["connection"][1]


@pytest.mark.sshd
def test_a_host_that_is_not_known_and_a_key_that_does_not_open_are_told_apart(
    doctor: Doctor, login_node: Cluster, tmp_path: Path
) -> None:
    ssh = {"host": login_node.host, "port": login_node.port, "user": login_node.user}
    known = {"known_hosts": str(login_node.known_hosts)}
    key = {"key_path": str(login_node.key)}
    code, found = doctor(login_node, ssh={**ssh, **key, "known_hosts": str(tmp_path / "none")})
    assert (code, list(found)) == (1, ["host key"])
    assert "is not known" in found["host key"][1]
    code, found = doctor(login_node, ssh={**ssh, **known, "key_path": str(tmp_path / "none")})
    assert (code, list(found)) == (1, ["key"])
    assert "There is no key to log in" in found["key"][1]


@pytest.mark.sshd
def test_a_machine_without_a_scheduler_says_what_is_missing(
    doctor: Doctor, login_node: Cluster, tmp_path: Path
) -> None:
    code, found = doctor(login_node)
    assert code == 1
    assert found["python3"][0] == "ok"
    assert "connection" in found or found["commands"][0] == "bad"
