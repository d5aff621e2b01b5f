"""The exit codes of docs/cli.md, each by commands that end with it. 130: test_client_commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT, Site, ended, free_port, local, serving, surroundings, until

# Runs many commands, each in a process of its own that needs not import everything again.
EACH = """
import json, os, sys, tempfile
from scripthut.cli import main
found = []
for words in json.loads(sys.stdin.read()):
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            sys.argv = ["scripthut", *words]
            code = 99
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        found.append({"code": code, "said": said.read().decode("utf-8", "replace")})
print(json.dumps(found))
"""
NOBODY = f"http://127.0.0.1:{free_port()}"
CODES = {
    0: [
        "--version",
        "-V",
        "--help",
        "run list",
        "run view {done}",
        "run watch {done} --exit-status",
        "run watch {bad}",
        "run logs {done} a",
        "workflow list",
        "source list",
        "source sync",
        "backend list",
        "status",
        "status --server {nobody} --quick",
        "task run --backend local --watch true",
        "config check",
    ],
    1: [
        "serve --host 0.0.0.0",
        "serve --bind 0.0.0.0:80",
        "config check wrong.yaml",
        "run list --config wrong.yaml --server local",
        "run view nosuchrn",
        "run list --server {nobody}",
        "run list --server ftp://x",
        "run watch {bad} --exit-status",
        "run delete {bad}",
        "run logs {done} a --follow --json",
        "task run --backend local --watch false",
        "task run --backend nowhere true",
        "task run --backend local true --env x",
        "workflow run none --source study --backend local",
        "source view none",
        "submit wrong.yaml --backend local",
        "import .",
        "stack list",
        "stack install r --backend hpc --watch",
        "disk clean --backend nowhere",
        "agent prompt",
        "setup-aws-ec2",
        "task probe --backend local --from-file x.json",
        "run manifest {done} a",
    ],
    2: [
        "nothing-of-that-name",
        "--port 1 run list",
        "run list --prot",
        "run view",
        "run list --limit many",
        "serve --config nowhere.yaml",
        "-c nowhere.yaml",
        "run list --config nowhere.yaml --server local",
        "submit nowhere.json --backend local",
        "workflow run --file nowhere.json --backend local",
        "workflow view --file nowhere.json",
        "task run --backend local --from-file nowhere.json",
        "task run --backend local --inline-script nowhere.py",
        "import nowhere",
        "preview nowhere -o x.html",
        "status --server {nobody}",
        "source sync gone",
        "daemon logs",
    ],
    3: ["daemon status", "daemon status --json"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("codes")
    (place / "scripthut.yaml").write_text(local(place, server_port=free_port()))
    (place / "wrong.yaml").write_text("backends: 5\n")
    return place


@pytest.fixture(scope="module")
def site(place: Path) -> Iterator[Site]:
    (place / "study/.hut/workflows").mkdir(parents=True)
    paths = {"study": str(place / "study"), "gone": str(place / "gone")}
    sources = [
        {"name": name, "type": "path", "path": path, "backend": "local"}
        for name, path in paths.items()
    ]
    config = json.loads(local(place / "site"))
    with serving(place / "site", config=json.dumps({**config, "sources": sources})) as site:
        until(lambda: site.get("/api/v1/sources/study").json["looked_at"])
        yield site


@pytest.fixture(scope="module")
def names(site: Site) -> dict[str, str]:
    done = site.run([{"id": "a", "command": "true"}])
    bad = site.run([{"id": "a", "command": "exit 4"}])
    ended(site, done)
    ended(site, bad)
    return {"done": done, "bad": bad, "nobody": NOBODY}


def test_every_command_ends_with_the_code_that_the_documentation_says(
    place: Path, site: Site, names: dict[str, str]
) -> None:
    rows = [(code, words.format(**names)) for code, some in CODES.items() for words in some]
    told = subprocess.run(
        [sys.executable, "-c", EACH],
        capture_output=True,
        text=True,
        input=json.dumps([words.split() for _, words in rows]),
        cwd=place,
        env={**surroundings(place), "SCRIPTHUT_SERVER": site.url},
        timeout=120,
        check=True,
    )
    found = json.loads(told.stdout)
    ends = {words: end["code"] for (_, words), end in zip(rows, found, strict=True)}
    assert ends == {words: code for code, words in rows}
    for (code, words), end in zip(rows, found, strict=True):
        assert "Traceback" not in end["said"], words
        assert code == 0 or end["said"].strip(), f"{words} says nothing"


def test_the_documentation_says_which_codes_there_are() -> None:
    page = (ROOT / "docs/cli.md").read_text().partition("## Exit codes")[2]
    said = {int(line.split("|")[1]) for line in page.splitlines() if line[2:3].isdigit()}
    assert said == {*CODES, 130}
