"""Runs from a repository behind ssh, on a real Slurm cluster that has no key to it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.cluster.fixtures import Cluster
from tests.repository import Repository, open_to_all
from tests.serving import HUT, surroundings
from tests.stories.conftest import free_port
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
COUNT = 'cat tally; echo x >>tally; wc -l <tally >"$SCRIPTHUT_OUTPUT_DIR/count.txt"; cat lib/x.txt'
SMALL = {"memory": "50M"}
FAN = {
    "title": "Fan out and in",
    "tasks": [
        {"id": "first", "command": COUNT, **SMALL},
        {
            "id": "sim.a",
            "command": "git rev-parse HEAD; pwd",
            "deps": ["first"],
            **SMALL,
        },
        {"id": "sim.b", "command": "ls", "working_dir": "lib", "deps": ["first"], **SMALL},
        {
            "id": "merge",
            "command": 'echo "- merged $SCRIPTHUT_GIT_SHA" >"$SCRIPTHUT_RUN_SUMMARY"',
            "deps": ["sim.*"],
            **SMALL,
        },
    ],
}

# A study of another team's making: a generator fans out over what the repository lists.
PLAN = """
import json, os
seeds = open("seeds.txt").read().split()
task = lambda seed: {"id": f"sim.{seed}", "memory": "50M",
                     "command": f"echo $(( {seed} * {seed} )) >{seed}.square"}
json.dump({"tasks": [task(seed) for seed in seeds]}, open("tasks.json", "w"))
"""
GENERATED = {
    "title": "Squares",
    "params": {"unit": "m"},
    "tasks": [
        {"id": "plan", "command": "python3 plan.py", "generates_source": "tasks.json", **SMALL},
        {
            "id": "table",
            "deps": ["plan", "sim.*"],
            "command": 'cat *.square | sort -n | sed "s/$/ $SCRIPTHUT_PARAM_unit/" | '
            'paste -sd, >"$SCRIPTHUT_RUN_SUMMARY"',
            **SMALL,
        },
    ],
}


@pytest.fixture
def repository(slurm: Cluster) -> Iterator[Repository]:
    with open_to_all() as place:
        yield _repository(slurm, place)


def _repository(slurm: Cluster, place: Path) -> Repository:
    library = Repository(place / "library", owner=slurm.user)
    library.commit({"x.txt": "of the submodule\n"})
    made = Repository(place / "theirs", owner=slurm.user)
    made.commit({".hut/workflows/fan.json": FAN, "tally": ""})
    made.commit({".hut/workflows/squares.json": GENERATED, "plan.py": PLAN, "seeds.txt": "3 4 7"})
    made.git("submodule", "--quiet", "add", "../library", "lib")
    made.commit()
    return made


@pytest.fixture
def server(slurm: Cluster, repository: Repository, tmp_path: Path) -> Iterator[Server]:
    key = tmp_path / "deploy_key"
    key.write_bytes(slurm.key.read_bytes())
    key.chmod(0o600)
    ssh = {
        "host": slurm.host,
        "port": slurm.port,
        "user": slurm.user,
        "key_path": str(slurm.key),
        "known_hosts": str(slurm.known_hosts),
    }
    clones = f"clones-{repository.path.parent.name}"  # the login user's home outlives a session
    server = Server(tmp_path / "server", free_port(), [])
    server.backends = [{"type": "slurm", "name": "hpc", "ssh": ssh, "clone_dir": f"~/{clones}"}]
    server.directory.mkdir()
    server.sources = [
        {
            "type": "git",
            "name": "study",
            "url": f"ssh://{slurm.user}@{slurm.host}:{slurm.port}{repository.path}",
            "deploy_key": str(key),
            "known_hosts": str(slurm.known_hosts),
        }
    ]
    server.start()
    yield server
    server.stop()
    slurm.as_user(["rm", "-rf", clones])


def start(server: Server, **asked: object) -> str:
    answer = server.post("/sources/study/run?wait=60", {"workflow": "fan", **asked})
    assert "id" in answer, answer
    return str(answer["id"])


def count(server: Server, run_id: str) -> str:
    """How many runs have worked in the directory of a run, this one included."""
    address = f"/runs/{run_id}/tasks/first/outputs"
    until(lambda: bool(server.get(address)["files"]), 60, "outputs")
    (file,) = server.get(address)["files"]
    return server.page(file["url"]).strip()


def log(server: Server, run_id: str, key: str) -> str:
    address = f"/runs/{run_id}/tasks/{key}/logs?tail=50"
    until(lambda: bool(server.get(address)["content"]), 60, f"the log of {key}")
    return str(server.get(address)["content"])


def test_a_repository_is_brought_to_a_cluster_that_cannot_reach_it(
    server: Server, repository: Repository, slurm: Cluster
) -> None:
    head = repository.git("rev-parse", "HEAD")
    run_id = start(server)
    repository.commit({"tally": "moved\n"})  # the branch moves on; the run does not
    assert server.await_end(run_id) == "completed", server.log()[-3000:]
    assert "of the submodule" in log(server, run_id, "first")
    told = log(server, run_id, "sim.a")
    assert head in told
    assert f"/{head[:12]}-" in told
    assert "x.txt" in log(server, run_id, "sim.b")
    until(lambda: bool(server.get(f"/runs/{run_id}/summary")["sections"]), 60, "the run's summary")
    assert f"merged {head}" in server.get(f"/runs/{run_id}/summary")["sections"][0]["html"]
    page = server.page(f"/runs/{run_id}")
    assert head[:10] in page
    assert "fan.json" in page


def test_runs_with_workspaces_of_their_own_do_not_meet(
    server: Server, repository: Repository
) -> None:
    shared = []
    for _ in range(2):  # one after the other: at once, each might count what both have written
        shared.append(start(server))
        assert server.await_end(shared[-1]) == "completed", server.log()[-3000:]
    assert [count(server, run_id) for run_id in shared] == ["1", "2"]
    server.sources[0]["workspace"] = "run"
    server.stop()
    server.start()
    own = [start(server), start(server)]
    assert [server.await_end(run_id) for run_id in own] == ["completed"] * 2
    assert [count(server, run_id) for run_id in own] == ["1", "1"]


def test_a_cluster_that_goes_away_while_a_directory_is_made_delays_the_run(
    server: Server, repository: Repository, slurm: Cluster
) -> None:
    server.sources[0]["postclone"] = "sleep 6; echo made >>../made-$$"
    server.stop()
    server.start()
    run_id = start(server)
    page = f"/runs/{run_id}"
    until(lambda: "it is unpacked there" in server.page(page), 60, "it is prepared there")
    slurm.fault("ssh-stop")
    slurm.fault("ssh-kill-sessions")
    until(lambda: server.backend("hpc")["failing_since"] is not None, 90, "the card says so")
    assert set(server.states(run_id).values()) == {"pending"}
    server.kill()  # and the server does not come out of it either
    slurm.up()
    server.start()
    assert server.await_end(run_id, 180) == "completed"
    assert count(server, run_id) == "1"


def test_a_dry_run_leaves_nothing_on_the_cluster(
    server: Server, repository: Repository, slurm: Cluster
) -> None:
    shown = server.post("/sources/study/dry-run?wait=60", {"workflow": "fan"})
    assert [task["id"] for task in shown["tasks"]] == ["first", "sim.a", "sim.b", "merge"]
    assert "--job-name=first" in shown["tasks"][0]["script"]
    assert shown["tasks"][3]["deps"] == ["sim.a", "sim.b"]
    assert shown["tasks"][2]["working_dir"].endswith("/lib")
    assert str(server.backends[0]["clone_dir"])[2:] not in slurm.as_user(["ls"])


def test_a_directory_of_the_cluster_is_a_source(
    server: Server, repository: Repository, slurm: Cluster, tmp_path: Path
) -> None:
    server.sources = [
        {"type": "path", "name": "study", "path": str(repository.path), "backend": "hpc"}
    ]
    server.stop()
    server.start()
    run_id = start(server)
    assert server.await_end(run_id) == "completed"
    assert str(repository.path) in log(server, run_id, "sim.a")


def test_a_study_with_a_generator_is_started_and_its_summary_read(server: Server) -> None:
    server.sources[0]["workspace"] = "run"
    server.stop()
    server.start()
    asked = {"workflow": "squares", "params": {"unit": "mm"}}
    answer = server.post("/sources/study/run?wait=60", asked)
    assert server.await_end(answer["id"], 240) == "completed", server.states(answer["id"])
    assert set(server.states(answer["id"])) == {"plan", "sim.3", "sim.4", "sim.7", "table"}
    address = f"/runs/{answer['id']}/summary"
    until(lambda: bool(server.get(address)["sections"]), 60, "the run's summary")
    (section,) = server.get(address)["sections"]
    assert "9 mm,16 mm,49 mm" in section["html"]


def command(server: Server, *words: str) -> str:
    """What a command prints that asks the server, as a shell runs it."""
    done = subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        env={**surroundings(server.directory), "SCRIPTHUT_SERVER": server.url},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_study_is_run_from_the_page_and_from_the_command_line(server: Server) -> None:
    words = ("--source", "study", "--param", "unit=km", "--watch", "--json")
    run = json.loads(command(server, "workflow", "run", "squares", *words))
    assert [task["id"] for task in run["tasks"]] == ["plan", "table", "sim.3", "sim.4", "sim.7"]
    assert "9 km,16 km,49 km" in command(server, "summary", run["id"])

    form = urlencode(
        {"workflow": ".hut/workflows/squares.json", "backend": "hpc", "param.unit": "m"}
    )
    asked = Request(f"{server.url}/sources/study/start", form.encode(), {"Origin": server.url})
    with urlopen(asked, timeout=60):
        until(lambda: len(server.get("/runs")["runs"]) == 2, 60, "the run that the page started")
    newest = server.get("/runs")["runs"][0]["id"]
    assert server.await_end(newest) == "completed"
    until(lambda: bool(server.get(f"/runs/{newest}/summary")["sections"]), 60, "the run's summary")
    assert "9 m,16 m,49 m" in server.get(f"/runs/{newest}/summary")["sections"][0]["html"]
