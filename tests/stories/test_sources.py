"""Runs from repositories and directories, with a real server, a real git and this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.repository import Repository
from tests.stories.conftest import free_port
from tests.stories.server import Server, until

pytestmark = pytest.mark.slow
HELLO = ".hut/workflows/hello.json"
WRITES = (
    'cat data.txt >"$SCRIPTHUT_OUTPUT_DIR/seen.txt"; pwd >>"$SCRIPTHUT_OUTPUT_DIR/seen.txt"; '
    'echo "$GREETING $SCRIPTHUT_GIT_BRANCH $SCRIPTHUT_GIT_SHA" >>"$SCRIPTHUT_OUTPUT_DIR/seen.txt"; '
    "echo more >>data.txt"
)
DOCUMENT = {
    "title": "Say hello",
    "params": {"word": "hi", "times": 1},
    "tasks": [{"id": "hello", "command": WRITES}],
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "theirs")
    made.commit({HELLO: DOCUMENT, "data.txt": "one\n"})
    return made


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[Server]:
    """A server whose source `study` is the repository, and whose clones are in its directory."""
    local = {"type": "local", "name": "local", "clone_dir": str(tmp_path / "clones")}
    server = Server(tmp_path / "server", free_port(), [local], {"workers": 1})
    server.directory.mkdir()
    server.sources = [{"type": "git", "name": "study", "url": repository.url}]
    server.start()
    yield server
    server.stop()


def start(server: Server, query: str = "", **asked: object) -> str:
    """Start the workflow; the run's id."""
    answer = server.post(f"/sources/study/run?{query}", {"workflow": "hello", **asked})
    assert "id" in answer, answer
    return str(answer["id"])


def seen(server: Server, run_id: str) -> list[str]:
    """What the task of a completed run saw."""
    assert server.await_end(run_id) == "completed", server.get(f"/runs/{run_id}")
    address = f"/runs/{run_id}/tasks/hello/outputs"
    until(lambda: bool(server.get(address)["files"]), 30, "outputs")
    (file,) = server.get(address)["files"]
    return server.page(file["url"]).splitlines()


def source(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.get("/sources/study")
    return found


def test_a_run_works_in_the_commit_it_names(server: Server, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    text, place, *rest = seen(server, start(server))
    assert text == "one"
    assert Path(place).parent == server.directory.parent / "clones"
    assert Path(place).name.startswith(f"{first[:12]}-")
    assert rest == [f" main {first}"]
    second = repository.commit({"data.txt": "two\n"})
    assert seen(server, start(server))[0] == "two"
    assert source(server)["last_commit"] == second
    assert seen(server, start(server, branch=first))[0] == "one"
    repository.git("checkout", "--quiet", "-b", "feature/x")
    repository.commit({"data.txt": "three\n"})
    assert seen(server, start(server, branch="feature/x"))[0] == "three"
    repository.git("tag", "v1", first)
    assert seen(server, start(server, branch="v1"))[-1] == f" v1 {first}"


def test_a_clone_of_an_older_version_stays_with_all_that_its_runs_wrote(
    server: Server, repository: Repository
) -> None:
    """It stands where that version put it, under the first characters of the commit alone."""
    head = repository.git("rev-parse", "HEAD")
    older = server.directory.parent / "clones" / head[:12]
    results = older / ".scripthut" / "study" / "logs" / "outputs" / "result"
    results.parent.mkdir(parents=True)
    (older / ".git").mkdir()
    results.write_text("of a year")
    _, place, *_ = seen(server, start(server))
    assert results.read_text() == "of a year"
    assert Path(place) != older


def test_a_remote_that_is_gone_leaves_what_was_brought(
    server: Server, repository: Repository
) -> None:
    server.post("/sources/study/sync")
    (workflow,) = server.get("/sources/study/workflows")["workflows"]
    assert (workflow["path"], workflow["title"], workflow["tasks"]) == (HELLO, "Say hello", 1)
    shutil.rmtree(repository.path)
    answer = server.post("/sources/study/sync")
    assert "does not appear to be a git repository" in answer["error"]
    server.stop()
    server.start()
    until(lambda: source(server)["error"] is not None, 30, "the card says so")
    assert source(server)["workflows"] == [HELLO]


def test_a_branch_that_does_not_exist_starts_nothing(server: Server) -> None:
    answer = server.post("/sources/study/run", {"workflow": "hello", "branch": "nope"})
    assert "no branch or tag 'nope'" in answer["problems"][0]
    answer = server.post("/sources/study/run", {"workflow": "absent", "branch": "main"})
    assert answer["error"] == "There is no workflow 'absent'."
    answer = server.post("/sources/study/run", {"workflow": "hello", "branch": "--upload-pack=x"})
    assert "cannot be the name of a branch" in answer["problems"][0]
    assert server.get("/runs")["runs"] == []


def test_a_request_that_is_sent_again_makes_no_second_run(server: Server) -> None:
    first = start(server, request_key="k1")
    assert start(server, request_key="k1") == first
    assert len(server.get("/runs")["runs"]) == 1


def test_two_runs_at_once_share_one_clone(server: Server, repository: Repository) -> None:
    server.sources[0]["postclone"] = "sleep 2; echo once >>../tally"
    server.stop()
    server.start()
    runs = [start(server), start(server)]
    until(
        lambda: "Preparing the repository" in server.page(f"/runs/{runs[0]}"),
        20,
        "the page says what it waits for",
    )
    places = {seen(server, run_id)[-2] for run_id in runs}
    assert len(places) == 1
    assert (server.directory.parent / "clones" / "tally").read_text() == "once\n"


def test_a_postclone_that_fails_ends_the_run_with_its_words(
    server: Server, repository: Repository
) -> None:
    marker = server.directory / "mended"
    server.sources[0]["postclone"] = f"test -e {marker} || {{ echo no compiler here >&2; exit 2; }}"
    server.stop()
    server.start()
    run_id = start(server)
    assert server.await_end(run_id) == "failed"
    assert "no compiler here" in server.task(run_id, "hello")["reason"]
    marker.touch()
    server.post(f"/runs/{run_id}/retry")
    assert seen(server, run_id)[0] == "one"


def test_a_workspace_of_its_own_is_overwritten_by_nobody(server: Server) -> None:
    server.sources[0]["workspace"] = "run"
    server.stop()
    server.start()
    found = [seen(server, run_id) for run_id in (start(server), start(server))]
    assert [lines[0] for lines in found] == ["one", "one"]
    assert found[0][1] != found[1][1]


def test_a_working_copy_runs_as_it_stands(server: Server, repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    server.sources[0]["local_path"] = str(repository.path)
    server.stop()
    server.start()
    (repository.path / "data.txt").write_text("not committed\n")
    lines = seen(server, start(server))
    assert lines[0] == "not committed"
    assert lines[2].startswith(f" main {head}-dirty.")
    assert seen(server, start(server, branch="main"))[0] == "one"


def test_the_repository_s_own_rules_reach_the_job(server: Server, repository: Repository) -> None:
    rules = "env:\n  - set: {GREETING: 'it''s \"me\"'}\n"
    repository.commit({"scripthut.yaml": rules})
    assert seen(server, start(server))[2].startswith('it\'s "me" main ')
    repository.commit({"scripthut.yaml": f"{rules}backends: []\n"})
    answer = server.post("/sources/study/run", {"workflow": "hello"})
    assert "backends: a repository's file may hold" in answer["problems"][0]
    assert "backends" in source(server)["warnings"][0]


def test_a_dry_run_shows_scripts_and_leaves_nothing(server: Server) -> None:
    shown = server.post("/sources/study/dry-run", {"workflow": HELLO, "params": {"word": "x"}})
    (task,) = shown["tasks"]
    assert WRITES in task["script"]
    assert task["working_dir"] == shown["folder"]
    assert shown["params"] == {"word": "x", "times": 1}
    assert server.get("/runs")["runs"] == []
    assert not (server.directory.parent / "clones").exists()


def test_a_directory_is_a_source_too(server: Server, tmp_path: Path) -> None:
    folder = Repository(tmp_path / "plain folder")
    folder.commit({HELLO: DOCUMENT, ".hut/workflows/bad.json": "{", "data.txt": "here\n"})
    server.sources = [
        {"type": "path", "name": "study", "path": str(folder.path), "backend": "local"}
    ]
    server.stop()
    server.start()

    def found() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = server.get("/sources/study/workflows")["workflows"]
        return told

    until(lambda: len(found()) == 2, 30, "the first look; the repository of that name has one")
    bad, good = found()
    assert "is not JSON" in bad["problem"]
    assert good["title"] == "Say hello"
    text, place, *_ = seen(server, start(server))
    assert (text, place) == ("here", str(folder.path))


def test_files_of_one_name_are_two_workflows(server: Server, repository: Repository) -> None:
    server.sources[0]["workflows_glob"] = ".hut/workflows/**/*.*"
    server.stop()
    yaml = "tasks:\n  - {id: hello, command: 'true'}\n"
    repository.commit({".hut/workflows/deep/hello.json": DOCUMENT, ".hut/workflows/y.yaml": yaml})
    server.start()
    server.post("/sources/study/sync")
    deep = ".hut/workflows/deep/hello.json"
    assert source(server)["workflows"] == [deep, HELLO, ".hut/workflows/y.yaml"]
    answer = server.post("/sources/study/run", {"workflow": "hello"})
    assert f"may be any of {deep}, {HELLO}" in answer["error"]
    answer = server.post("/sources/study/run", {"workflow": deep})
    assert answer["name"] == "study/deep/hello"
    assert server.post("/sources/study/run", {"workflow": "y"})["name"] == "study/y"


def test_a_source_that_is_configured_anew_is_looked_at_anew(
    server: Server, repository: Repository
) -> None:
    repository.commit({"other/plain.json": DOCUMENT})
    server.post("/sources/study/sync")
    assert source(server)["workflows"] == [HELLO]
    text = server.config.read_text()
    server.config.write_text(text.replace("type: git", "type: git\n  workflows_glob: other/*"))
    until(lambda: source(server)["workflows"] == ["other/plain.json"], 30, "the other files")
    more = {"type": "git", "name": "second", "url": repository.url, "branch": "none"}
    server.config.write_text(text.replace("sources:", f"sources:\n- {more}"))
    until(
        lambda: any(
            s["name"] == "second" and s["error"] for s in server.get("/sources")["sources"]
        ),
        30,
        "the second source",
    )
