"""Documents on a real Slurm: a generated fan-out, values of all kinds, more memory, timeouts."""

import json

import pytest

from tests.cluster.fixtures import Cluster
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
COUNT = 200
HARD = 'it\'s "$HOME" `id` \\ $(touch pwned) é\nsecond line\n\n'
MAKE = rf"""
python3 - <<'PYTHON'
import json
tasks = [
    {{"id": f"sim.{{i:03}}", "command": f'echo "- sim {{i}} of $STUDY" >"$SCRIPTHUT_RUN_SUMMARY"',
      "memory": "20M"}} for i in range({COUNT})
]
tasks.append({{"id": "table", "command": "ls", "deps": ["sim.*", "make"], "memory": "20M"}})
env = [{{"set": {{"STUDY": "${{params.study}}"}}}}]
json.dump({{"tasks": tasks, "env": env}}, open("more.json", "w"))
PYTHON
"""


def test_a_generator_fans_out_and_a_wildcard_of_the_first_document_joins(server: Server) -> None:
    document = {
        "title": "A generated study",
        "params": {"study": "percolation"},
        "tasks": [
            {"id": "make", "command": MAKE, "generates_source": "more.json", "memory": "50M"},
            {
                "id": "join",
                "command": 'echo "joined" >"$SCRIPTHUT_RUN_SUMMARY"',
                "deps": ["sim.*"],
                "memory": "20M",
            },
        ],
    }
    body = {"backend": "hpc", "document": document, "request_key": "story"}
    run_id = server.post("/runs", body)["id"]
    assert server.post("/runs", body)["id"] == run_id
    assert server.await_end(run_id, 280) == "completed"
    tasks = server.get(f"/runs/{run_id}")["tasks"]
    assert len(tasks) == COUNT + 3
    begun = {task["id"]: (task["submitted_at"], task["finished_at"]) for task in tasks}
    last = max(begun[f"sim.{i:03}"][1] for i in range(COUNT))
    assert begun["join"][0] >= last
    until(
        lambda: len(server.get(f"/runs/{run_id}/summary")["sections"]) == COUNT + 1,
        60,
        "all sections",
    )
    shown = "".join(s["html"] for s in server.get(f"/runs/{run_id}/summary")["sections"])
    assert f"sim {COUNT - 1} of percolation" in shown


def test_values_reach_a_job_of_the_cluster_exactly(server: Server) -> None:
    show = 'env -0 >"$SCRIPTHUT_OUTPUT_DIR/env.txt"; greet >"$SCRIPTHUT_OUTPUT_DIR/said.txt"'
    document = {
        "env": [
            {"set": {"HARD": HARD, "PLACE": "${HOME}/data", "KIND": "${SCRIPTHUT_BACKEND_TYPE}"}},
            {"append": {"PATH": "/my tools", "HARD": "${PLACE}"}},
            {"if": {"KIND": "slurm"}, "init": 'greet() { echo "hello from ${KIND}"; }'},
        ],
        "tasks": [{"id": "show", "command": show, "memory": "20M"}],
    }
    run_id = server.post("/runs", {"backend": "hpc", "document": document})["id"]
    assert server.await_end(run_id) == "completed"
    files = f"/runs/{run_id}/tasks/show/outputs"
    until(lambda: len(server.get(files)["files"]) == 2, 30, "its files")
    found = {f["path"]: f["url"] for f in server.get(files)["files"]}
    pairs = server.page(found["env.txt"]).split("\0")
    env = dict(pair.split("=", 1) for pair in pairs if pair)
    assert env["PLACE"] == f"{env['HOME']}/data"
    assert env["HARD"] == f"{HARD}:{env['HOME']}/data"
    assert env["PATH"].endswith(":/my tools") and "/usr/bin" in env["PATH"]
    assert server.page(found["said.txt"]) == "hello from slurm\n"
    told = server.get(f"/runs/{run_id}/tasks/show/env")
    assert told["resolved"] is True
    assert told["vars"]["HARD"]["value"] == f"{HARD}:${{HOME}}/data"


def test_what_runs_out_of_memory_is_tried_again_with_more(server: Server, slurm: Cluster) -> None:
    hold = "python3 -c 'import time; a = bytearray(300 * 2**20); time.sleep(8); print(len(a))'"
    retry = {"count": 2, "on": "out_of_memory", "wait": "1s", "memory": 6}
    run_id = server.run(
        [
            {"id": "hold", "command": hold, "memory": "100M", "retry": retry},
            {"id": "next", "command": "true", "deps": ["hold"], "memory": "20M"},
        ]
    )
    assert server.await_end(run_id, 200) == "completed", server.get(f"/runs/{run_id}")
    task = server.task(run_id, "hold")
    assert task["attempt"] == 2
    page = server.page(f"/runs/{run_id}/tasks/hold")
    assert "tried again after 0:00:01 as attempt 2, with 600.0 MiB of memory" in page
    asked = slurm.sacct("-X", "--format=JobName%40,ReqMem").splitlines()
    assert [row.split("|")[-1] for row in asked if run_id in row and f"{run_id}.0." in row] == [
        "100M",
        "600M",
    ]


def test_a_command_is_ended_at_its_timeout_and_run_again_as_another_run(server: Server) -> None:
    run_id = server.run(
        [
            {"id": "quick", "command": 'echo kept >"$SCRIPTHUT_RUN_SUMMARY"', "memory": "20M"},
            {"id": "slow", "command": "[ -e go ] || sleep 300", "memory": "20M", "timeout": "2s"},
        ]
    )
    assert server.await_end(run_id) == "failed"
    slow = server.task(run_id, "slow")
    assert (slow["exit_code"], slow["reason"]) == (
        124,
        "It ran longer than its timeout of 0:00:02",
    )
    until(lambda: server.get(f"/runs/{run_id}/summary")["sections"], 30, "the section")
    again = server.post(f"/runs/{run_id}/rerun", {"mode": "failed"})
    assert json.dumps(again["about"]["origin"]) == f'"{run_id}"'
    assert server.states(again["id"])["quick"] == "completed"
    assert server.await_end(again["id"]) == "failed"
    (section,) = server.get(f"/runs/{again['id']}/summary")["sections"]
    assert "kept" in section["html"]
