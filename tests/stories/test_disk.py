"""The disk of a real login node: looked at, an orphan deleted, what a job uses refused."""

import json

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
ORPHAN = r"""
cd "$HOME" && mkdir -p .cache/scripthut/logs/disk.story && cd .cache/scripthut/logs/disk.story
mkdir -p outputs/orphan23/fit .scripthut/orphan23
head -c 300000 /dev/zero >outputs/orphan23/fit/$'plot\n\xff.bin'
ln -s "$HOME" outputs/orphan23/fit/home
echo x >scripthut_orphan23_fit.out
set -- outputs/orphan23 .scripthut/orphan23 scripthut_orphan23_fit.out
find "$@" -exec touch -h -d '9 days ago' {} +
"""


def things(server: Server) -> dict[str, dict[str, object]]:
    """What a new look finds of this story's runs, by the run."""
    assert server.post("/disk/scan", {"backend": "hpc"})["status"] == "started"
    until(lambda: not server.get("/disk")["backends"]["hpc"]["scanning"], 60, server.log)
    result = server.get("/disk?backend=hpc")["backends"]["hpc"]["result"]
    assert result["note"] is None
    own = (one for one in result["things"] if "/logs/disk.story:" in one["path"])
    return {one["run_id"]: one for one in own}


def test_an_orphan_goes_and_what_a_job_uses_stays(server: Server, slurm: Cluster) -> None:
    slurm.as_user(["rm", "-rf", ".cache/scripthut/logs/disk.story"])
    slurm.as_user(["bash", "-c", ORPHAN])
    document = [{"id": "long", "command": "echo begun; sleep 600", "memory": "50M"}]
    run = server.post("/runs", {"backend": "hpc", "name": "disk.story", "document": document})["id"]
    until(lambda: server.get(f"/runs/{run}")["tasks"][0]["status"] == "running", 60, server.log)
    found = things(server)
    assert {name: one["class"] for name, one in found.items()} == {
        "orphan23": "orphaned",
        run: "active",
    }
    assert 300_000 <= int(str(found["orphan23"]["size"])) < 10_000_000  # the link is not followed
    asked = {"backend": "hpc", "paths": [one["path"] for one in found.values()]}
    plan = server.post("/disk/clean", {**asked, "allow_referenced": True})
    assert plan["planned"]["delete"] == 1, json.dumps(plan)
    assert [one["run_id"] for one in plan["skipped"]] == [run]
    until(lambda: not server.get("/disk")["backends"]["hpc"]["cleaning"], 60, server.log)
    (done,) = server.get("/disk")["backends"]["hpc"]["last_cleanup"]
    assert done["deleted"] and done["freed"] >= 300_000 and done["problem"] is None
    left = slurm.as_user(["find", ".cache/scripthut/logs/disk.story", "-name", "*orphan23*"])
    assert left.strip() == ""
    assert "begun" in slurm.as_user(
        ["cat", f".cache/scripthut/logs/disk.story/scripthut_{run}_long.out"]
    )
    server.post(f"/runs/{run}/cancel", {})
    server.await_end(run)
    until(lambda: things(server)[run]["class"] == "referenced", 60, server.log)
