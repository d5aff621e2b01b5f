"""`workflow`, `task`, `source`, `backend`, `status`, `completion` and the rest of `run`."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import HUT, Site, ended, local, serving, surroundings, until

FIT = {
    "title": "Fit it",
    "params": {"N": {"default": 2, "description": "how many"}},
    "tasks": [{"id": "fit", "command": 'echo n=${params.N} > "$SCRIPTHUT_RUN_SUMMARY"'}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hut")


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    flows = place / "study/.hut/workflows"
    flows.mkdir(parents=True)
    (flows / "fit.json").write_text(json.dumps(FIT))
    (flows / "bad.json").write_text(json.dumps([{"id": "b", "command": "exit 3"}]))
    config = json.loads(local(place / "site"))
    source = {"name": "study", "type": "path", "path": str(place / "study"), "backend": "local"}
    with serving(place / "site", config=json.dumps({**config, "sources": [source]})) as site:
        until(lambda: len(site.get("/api/v1/sources/study/workflows").json["workflows"]) == 2)
        yield site


def hut(
    place: Path, site: Site | None, *words: str, said: str = "", **env: str
) -> "subprocess.CompletedProcess[str]":
    server = {"SCRIPTHUT_SERVER": site.url} if site else {}
    return subprocess.run(
        [*HUT, *words],
        capture_output=True,
        text=True,
        input=said,
        cwd=place,
        env={**surroundings(place), **server, "COLUMNS": "140", **env},
        timeout=90,
        check=False,
    )


def test_workflows_are_listed_shown_and_run(place: Path, site: Site) -> None:
    listed = hut(place, site, "workflow", "list")
    assert re.search(r"study +\.hut/workflows/fit\.json +Fit it +1", listed.stdout), listed
    shown = hut(place, site, "workflow", "view", "fit", "--source", "study")
    assert "--param N=2  how many" in shown.stdout
    done = hut(place, site, "workflow", "run", "fit", "--source", "study", "--watch", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source_name"] == "study"
    done = hut(place, site, "workflow", "run", "study/bad", "--watch", "--interval", "0.2")
    assert done.returncode == 1
    assert re.search(r"  b: .*3", done.stdout)


def test_a_parameter_reaches_the_tasks(place: Path, site: Site) -> None:
    words = ("workflow", "run", "fit.json", "--param", "N=7", "--watch", "--json")
    done = hut(place, site, *words)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["id"]
    until(lambda: "n=7" in site.get(f"/api/v1/runs/{run}/summary").text)
    wrong = hut(place, site, "workflow", "run", "fit.json", "--param", "M=7")
    assert wrong.returncode == 1
    assert "M" in wrong.stderr


def test_a_workflow_that_is_not_there_names_those_that_are(place: Path, site: Site) -> None:
    done = hut(place, site, "workflow", "run", "fitt")
    assert done.returncode == 1
    assert ".hut/workflows/fit.json" in done.stderr
    assert hut(place, site, "workflow", "run").returncode == 1


def test_a_workflow_that_is_new_is_looked_for(place: Path, site: Site) -> None:
    late = place / "study/.hut/workflows/late.json"
    late.write_text(json.dumps(FIT))
    try:
        done = hut(place, site, "workflow", "view", "late", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["path"] == ".hut/workflows/late.json"
    finally:
        late.unlink()


def test_a_source_that_cannot_be_read_is_named_beside_the_workflow_that_is_sought(
    place: Path, site: Site
) -> None:
    study = place / "study"
    study.rename(place / "moved")
    try:
        done = hut(place, site, "workflow", "view", "later", "--source", "study")
        assert done.returncode == 1
        assert "study cannot be read: " in done.stderr
        assert str(study) in done.stderr
    finally:
        (place / "moved").rename(study)


def test_of_a_paused_source_what_is_known_is_said_all_the_same(place: Path, site: Site) -> None:
    assert hut(place, site, "source", "pause", "study", "--who", "ada").returncode == 0
    try:
        done = hut(place, site, "workflow", "view", "later", "--source", "study")
        assert done.returncode == 1
        assert ".hut/workflows/fit.json" in done.stderr
        assert "paused" in done.stderr
    finally:
        assert hut(place, site, "source", "resume", "study").returncode == 0


def test_a_document_here_is_checked_and_run(place: Path, site: Site) -> None:
    (place / "here.yaml").write_text("tasks:\n  - id: a\n    command: echo hi\n")
    checked = hut(place, site, "workflow", "view", "--file", "here.yaml")
    assert checked.stdout == "here.yaml: is well, 1 task\n"
    done = hut(place, site, "workflow", "run", "--file", "here.yaml", "--watch", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "here"
    (place / "wrong.yaml").write_text("tasks:\n  - id: a\n    comand: echo hi\n")
    done = hut(place, site, "workflow", "run", "--file", "wrong.yaml")
    assert done.returncode == 1
    assert "comand" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_command_is_a_run(place: Path, site: Site) -> None:
    words = ("task", "run", "--backend", "local", "--env", "A=x y", "--id", "one", "--json")
    done = hut(place, site, *words, "--watch", 'test "$A" = "x y"')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "_adhoc/one"
    plain = hut(place, site, "task", "run", "--backend", "local", "--run-name", "x", "true")
    assert re.fullmatch(r"[a-z0-9]{8}\n", plain.stdout)
    assert plain.stderr == f"{site.url}/runs/{plain.stdout.strip()}\n"


def test_a_script_travels_with_its_task(place: Path, site: Site) -> None:
    script = "#!/usr/bin/env python3\nimport sys\nprint('it\\'s', sys.argv[0][-4:])\n"
    (place / "a b.py").write_text(script + "HUT_SCRIPT_END = 1\n")
    words = ("task", "run", "--backend", "local", "--watch", "--json")
    done = hut(place, site, *words, "--inline-script", "a b.py")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["id"]
    logs = hut(place, site, "run", "logs", run, "task", "--follow")
    assert logs.stdout.splitlines()[-1] == "it's b.py"
    done = hut(place, site, *words, "--from-stdin", said="exit 0\n")
    assert done.returncode == 0


def test_a_task_can_be_looked_at_before_it_runs(place: Path) -> None:
    (place / "task.json").write_text('{"id": "a", "command": "true", "cpus": 2}')
    words = ("task", "run", "--backend", "hpc", "--dry-run")
    flags = ("--memory", "8G", "--time", "2:00:00", "--gres", "gpu:1", "--partition", "p")
    done = hut(place, None, *words, "--from-file", "task.json", *flags, "--server", "http://x")
    assert json.loads(done.stdout) == {
        "id": "a",
        "command": "true",
        "cpus": 2,
        "memory": "8G",
        "time_limit": "2:00:00",
        "partition": "p",
        "gres": "gpu:1",
    }
    assert hut(place, None, *words, "--server", "http://x").returncode == 1
    wrong = hut(place, None, *words, "true", "--memory", "lots", "--server", "http://x")
    assert wrong.returncode == 1
    assert "lots" in wrong.stderr


def test_sources_are_listed_shown_and_looked_at_again(place: Path, site: Site) -> None:
    assert re.search(r"study +path", hut(place, site, "source", "list").stdout)
    assert ".hut/workflows/fit.json" in hut(place, site, "source", "view", "study").stdout
    synced = hut(place, site, "source", "sync", "study", "--json")
    assert synced.returncode == 0, synced.stderr
    assert json.loads(synced.stdout)["error"] is None
    assert hut(place, site, "source", "sync").returncode == 0
    assert hut(place, site, "source", "view", "none").returncode == 1


def test_backends_and_the_server_say_how_they_are(place: Path, site: Site) -> None:
    done = hut(place, site, "backend", "list", "--json")
    (backend,) = json.loads(done.stdout)["backends"]
    assert (backend["name"], backend["type"], backend["max_concurrent"]) == ("local", "local", 4)
    assert "local" in hut(place, site, "backend", "list").stdout
    paused = hut(place, site, "backend", "pause", "local", "--why", "cables").stdout
    assert paused.startswith("local is paused since")
    assert "paused" in hut(place, site, "backend", "list").stdout
    assert hut(place, site, "backend", "pause", "local").returncode == 1
    assert hut(place, site, "backend", "resume", "local").stdout == "local goes on\n"
    done = hut(place, site, "backend", "log", "local", "--json")
    assert {"name": "local", "commands": []}.keys() == json.loads(done.stdout).keys()
    assert hut(place, site, "backend", "log", "none").returncode == 1
    done = hut(place, site, "status")
    assert done.returncode == 0
    assert f"{site.url} ($SCRIPTHUT_SERVER)" in done.stdout
    done = hut(place, site, "status", "--server", "http://127.0.0.1:9", "--json")
    assert done.returncode == 2
    assert "no server answers" in json.loads(done.stdout)["error"]
    assert hut(place, site, "status", "--server", "http://127.0.0.1:9", "--quick").returncode == 0


def test_a_run_is_tried_again_told_of_and_deleted(place: Path, site: Site) -> None:
    run = site.run([{"id": "a", "command": "exit 3", "env": [{"set": {"X": "1"}}]}])
    ended(site, run)
    told = hut(place, site, "run", "env", run, "a")
    assert re.search(r"X +1 +task", told.stdout), told
    until(lambda: "Task:    a" in hut(place, site, "run", "logs", run, "a").stdout)
    assert "1 task waits again" in hut(place, site, "run", "retry", run).stdout
    ended(site, run)
    first = hut(place, site, "run", "logs", run, "a", "--attempt", "1")
    assert "Task:    a" in first.stdout
    assert hut(place, site, "run", "logs", run, "a", "--attempt", "1", "--error").stdout == ""
    none = hut(place, site, "run", "logs", run, "a", "--attempt", "3")
    assert none.returncode == 1
    assert "it is at its 2" in none.stderr
    refused = hut(place, site, "run", "vouch", run, "a", "--completed", "--note", "I saw it")
    assert refused.returncode == 1
    assert "only one that is lost" in refused.stderr
    refused = hut(place, site, "run", "delete", run)
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert hut(place, site, "run", "delete", run, "--yes").stdout == f"{run}: deleted\n"
    assert hut(place, site, "run", "view", run).returncode == 1


def test_deleting_asks_at_a_terminal(place: Path, site: Site) -> None:
    run = site.run([{"id": "a", "command": "true"}])
    ended(site, run)
    asks, answers = pty.openpty()
    env = {**surroundings(place), "SCRIPTHUT_SERVER": site.url}
    words = [*HUT, "run", "delete", run]
    process = subprocess.Popen(words, stdin=answers, stderr=answers, env=env)
    os.write(asks, b"n\n")
    assert process.wait(timeout=60) == 130
    assert "Delete" in os.read(asks, 4096).decode()
    assert site.get(f"/api/v1/runs/{run}").status == 200
    os.close(asks)
    os.close(answers)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(place: Path, shell: str) -> None:
    done = hut(place, None, "completion", shell)
    assert done.returncode == 0
    assert "_SCRIPTHUT_COMPLETE" in done.stdout


def completed(place: Path, site: Site | None, *words: str) -> str:
    env = {"COMP_WORDS": " ".join(["scripthut", *words]), "COMP_CWORD": str(len(words))}
    done = hut(place, site, _SCRIPTHUT_COMPLETE="bash_complete", **env)
    return done.stdout


def test_tab_offers_runs_tasks_and_workflows(place: Path, site: Site) -> None:
    run = site.run([{"id": "alpha", "command": "true"}])
    assert f"plain,{run}" in completed(place, site, "run", "view", run[:3])
    assert "plain,alpha" in completed(place, site, "run", "logs", run, "a")
    assert "plain,.hut/workflows/fit.json" in completed(place, site, "workflow", "run", ".hut")
    assert "plain,study" in completed(place, site, "source", "view", "st")
    assert completed(place, None, "run", "view", "a").strip() == ""


def test_colours_are_left_out_when_that_is_wished_for(place: Path, site: Site) -> None:
    site.run([{"id": "a", "command": "true"}], "coloured")
    asks, answers = pty.openpty()
    env = {**surroundings(place), "SCRIPTHUT_SERVER": site.url, "TERM": "xterm"}

    def shown(**more: str) -> str:
        words = [*HUT, "run", "list"]
        subprocess.run(words, stdout=answers, env={**env, **more}, timeout=60, check=True)
        return os.read(asks, 65536).decode()

    assert "\x1b[" in shown()
    assert "\x1b[3" not in shown(NO_COLOR="1")
    os.close(asks)
    os.close(answers)
