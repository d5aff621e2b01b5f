"""Git over a real sshd: keys, hosts, and what nobody may see."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripthut.core.errors import Refused, Unreachable
from scripthut.sources.clone import Clone
from scripthut.sources.git import Access, Git
from scripthut.sources.keys import private
from tests.cluster.fixtures import Cluster
from tests.repository import WORKFLOW, Repository, open_to_all

pytestmark = pytest.mark.sshd


@pytest.fixture
def repository(login_node: Cluster) -> Iterator[Repository]:
    with open_to_all() as place:
        made = Repository(place / "theirs", owner=login_node.user)
        made.commit({".hut/workflows/hello.json": WORKFLOW, "data.txt": "1\n"})
        yield made


def url(node: Cluster, repository: Repository) -> str:
    return f"ssh://{node.user}@{node.host}:{node.port}{repository.path}"


def test_a_deploy_key_opens_a_repository_behind_ssh(
    login_node: Cluster, repository: Repository, tmp_path: Path
) -> None:
    key = tmp_path / "deploy"
    key.write_bytes(login_node.key.read_bytes())
    key.chmod(0o644)  # ssh would refuse it
    copy = private(key, tmp_path / "keys", "study")
    assert copy != key
    assert copy.stat().st_mode & 0o777 == 0o600
    access = Access(url(login_node, repository), copy, login_node.known_hosts)
    found = Clone(Git(access), tmp_path / "copy").fetch("main")
    assert found.sha == repository.git("rev-parse", "HEAD")


def test_a_private_key_that_is_private_is_used_as_it_is(tmp_path: Path) -> None:
    key = tmp_path / "deploy"
    key.write_text("x")
    key.chmod(0o600)
    assert private(key, tmp_path / "keys", "study") == key
    with pytest.raises(Refused, match="cannot be read: No such file"):
        private(tmp_path / "absent", tmp_path / "keys", "study")


def test_an_unknown_host_is_refused_with_the_command_that_accepts_it(
    login_node: Cluster, repository: Repository, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    access = Access(url(login_node, repository), login_node.key, hosts)
    clone = Clone(Git(access), tmp_path / "copy")
    with pytest.raises(Refused) as refusal:
        clone.fetch("main")
    command = str(refusal.value).rpartition("accept it with: ")[2]
    assert command == f"ssh-keyscan -p {login_node.port} 127.0.0.1 >> {hosts}"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert clone.fetch("main").ref == "main"


def test_a_key_that_opens_nothing_is_refused_in_words(
    login_node: Cluster, repository: Repository, tmp_path: Path
) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    access = Access(url(login_node, repository), key, login_node.known_hosts)
    with pytest.raises(Refused, match="Permission denied"):
        Clone(Git(access), tmp_path / "copy").fetch("main")


def test_a_slow_remote_is_given_up(tmp_path: Path) -> None:
    slow = tmp_path / "ssh"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    git = Git(Access("ssh://git@slow.example/x"), {"GIT_SSH_COMMAND": str(slow)})
    with pytest.raises(Unreachable, match=r"did not end within 0\.5 seconds: ssh://slow"):
        git.run("ls-remote", "--", "ssh://git@slow.example/x", timeout=0.5)


def test_a_password_in_an_address_is_never_said() -> None:
    git = Git(Access("http://ada:secret@127.0.0.1:9/x"))
    with pytest.raises(Unreachable) as error:
        git.run("ls-remote", "--", "http://ada:secret@127.0.0.1:9/x")
    assert "secret" not in str(error.value)
    assert "127.0.0.1:9/x" in str(error.value)


def test_what_the_server_s_environment_tells_git_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_SSH_COMMAND", "evil")
    made = Repository(tmp_path / "theirs")
    made.commit({"data.txt": "1\n"})
    assert Clone(Git(Access(made.url)), tmp_path / "copy").fetch("main").sha
    assert os.environ["GIT_DIR"] == "/nowhere"


def test_no_process_is_started_with_a_key_in_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever lists the processes of the machine sees the key's path, and never the key."""
    programs, asked, go_on = tmp_path / "bin", tmp_path / "asked", tmp_path / "go on"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >"{asked}.part"; env >>"{asked}.part"\n'
        f'mv "{asked}.part" "{asked}"; while [ ! -e "{go_on}" ]; do sleep 0.05; done; exit 1\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    key = tmp_path / "deploy key"
    key.write_text("-----BEGIN KEY-----\nq3Vq1xnotforothers\n")
    copy = private(key, tmp_path / "keys", "study")
    clone = Clone(Git(Access("ssh://git@forge.example/x", copy)), tmp_path / "copy")
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(clone.fetch, "main")
        deadline = time.monotonic() + 20
        while not asked.exists():
            assert time.monotonic() < deadline, fetching
            time.sleep(0.02)
        running = [read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        go_on.touch()
        with pytest.raises(Refused):
            fetching.result(20)
    told = asked.read_text()
    assert str(copy) in told
    assert "BatchMode=yes" in told
    assert "StrictHostKeyChecking=yes" in told
    assert "IdentitiesOnly=yes" in told
    assert "q3Vq1xnotforothers" not in told
    assert any(str(copy).encode() in words for words in running)
    assert not any(b"q3Vq1xnotforothers" in words for words in running)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""
