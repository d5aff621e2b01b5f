"""Logging in to a real sshd: host keys, our keys, and servers that want something special."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster, start_cluster
from tests.transports.steps import Open, config_of, new_key, target_of, until, why

pytestmark = pytest.mark.sshd


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Start an agent that holds a key; answers its socket."""
    sock = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    until(sock.exists)

    def holding(key: Path, *, password: str = "") -> Path:
        ask = tmp_path / "ask"
        ask.write_text(f"#!/bin/sh\necho {password}\n")
        ask.chmod(0o700)
        says = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "SSH_AUTH_SOCK": str(sock)}
        subprocess.run(
            ["ssh-add", "-q", key], env={**os.environ, **says}, check=True, capture_output=True
        )
        return sock

    yield holding
    process.terminate()
    process.wait()


class TestHostKeys:
    def test_an_unknown_one_is_refused_with_the_command_that_accepts_it(
        self, target: Target, tmp_path: Path, open_ssh: Open, login_node: Cluster
    ) -> None:
        known_hosts = tmp_path / "a file"
        ssh = open_ssh(replace(target, known_hosts=known_hosts))
        sentence = why(ssh)
        shown = subprocess.run(
            ["ssh-keygen", "-lf", login_node.base / "ssh" / "keys" / "ed25519.pub"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.split()[1] in sentence
        assert "is not known" in sentence
        command = sentence.rpartition("accept it with: ")[2]
        assert command == f"ssh-keyscan -p {target.port} 127.0.0.1 >> '{known_hosts}'"
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        accepted = open_ssh(replace(target, known_hosts=known_hosts))
        assert accepted.run(["echo", "in"]).out == "in\n"

    def test_a_changed_one_is_refused_loudly(
        self, target: Target, tmp_path: Path, open_ssh: Open
    ) -> None:
        other = new_key(tmp_path / "other").with_suffix(".pub").read_text()
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(f"[127.0.0.1]:{target.port} {other}")
        sentence = why(open_ssh(replace(target, known_hosts=known_hosts)))
        assert "HAS CHANGED" in sentence
        command = sentence.rpartition("forget the old one with: ")[2]
        subprocess.run(["sh", "-c", command], check=True, capture_output=True)
        assert "is not known" in why(open_ssh(replace(target, known_hosts=known_hosts)))

    def test_a_revoked_one_is_refused(
        self, target: Target, tmp_path: Path, open_ssh: Open, login_node: Cluster
    ) -> None:
        known = login_node.known_hosts.read_text()
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(known + "".join(f"@revoked {k}\n" for k in known.splitlines()))
        assert "revoked" in why(open_ssh(replace(target, known_hosts=known_hosts)))

    def test_the_known_kind_is_asked_for(
        self, target: Target, tmp_path: Path, open_ssh: Open, login_node: Cluster
    ) -> None:
        rsa = [k for k in login_node.known_hosts.read_text().splitlines() if "ssh-rsa" in k]
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text("\n".join(rsa))
        assert open_ssh(replace(target, known_hosts=known_hosts)).run(["true"]).code == 0

    def test_an_alias_is_what_is_looked_for(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        config = config_of(tmp_path, login_node, "HostKeyAlias cluster")
        target = Target("hpc", key_path=login_node.key, config=config)
        assert "is not known" in why(open_ssh(target))
        known_hosts = tmp_path / "known_hosts"
        key = login_node.known_hosts.read_text().splitlines()[0].partition(" ")[2]
        known_hosts.write_text(f"cluster {key}\n")
        assert open_ssh(replace(target, known_hosts=known_hosts)).run(["true"]).code == 0

    def test_nothing_in_the_configuration_turns_the_check_off(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        config = config_of(tmp_path, login_node, "StrictHostKeyChecking no")
        empty = tmp_path / "empty"
        target = Target("hpc", key_path=login_node.key, known_hosts=empty, config=config)
        assert "is not known" in why(open_ssh(target))
        assert not empty.exists()


class TestLogin:
    def test_a_wrong_key(self, target: Target, tmp_path: Path, open_ssh: Open) -> None:
        key = new_key(tmp_path / "wrong")
        sentence = why(open_ssh(replace(target, key_path=key)))
        assert f"does not let hut in with {key}" in sentence
        assert "authorized_keys" in sentence

    def test_a_missing_key(self, target: Target, tmp_path: Path, open_ssh: Open) -> None:
        sentence = why(open_ssh(replace(target, key_path=tmp_path / "gone")))
        assert f"There is no {tmp_path / 'gone'}" in sentence

    def test_a_key_that_others_can_read(
        self, target: Target, tmp_path: Path, open_ssh: Open, login_node: Cluster
    ) -> None:
        key = tmp_path / "open"
        key.write_bytes(login_node.key.read_bytes())
        key.chmod(0o644)
        assert f"`chmod 600 {key}`" in why(open_ssh(replace(target, key_path=key)))

    def test_a_file_that_is_no_key(self, target: Target, tmp_path: Path, open_ssh: Open) -> None:
        key = tmp_path / "junk"
        key.write_text("hello")
        key.chmod(0o600)
        assert "not a private key" in why(open_ssh(replace(target, key_path=key)))

    def test_a_directory_in_the_place_of_a_key(
        self, target: Target, tmp_path: Path, open_ssh: Open
    ) -> None:
        tmp_path.chmod(0o700)
        assert "cannot be read" in why(open_ssh(replace(target, key_path=tmp_path)))

    @pytest.mark.parametrize("form", ["openssh", "PEM"])
    def test_an_encrypted_key_without_an_agent(
        self,
        target: Target,
        tmp_path: Path,
        open_ssh: Open,
        form: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        old = ["-t", "rsa", "-b", "2048", "-m", "PEM"] if form == "PEM" else []
        key = new_key(tmp_path / "locked", "-N", "secret", *old)
        sentence = why(open_ssh(replace(target, key_path=key)))
        assert f"{key} is encrypted" in sentence
        assert f"`ssh-add {key}`" in sentence

    def test_an_encrypted_key_that_the_agent_holds(
        self,
        login_node: Cluster,
        target: Target,
        tmp_path: Path,
        open_ssh: Open,
        agent: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        key = tmp_path / "locked"
        key.write_bytes(login_node.key.read_bytes())
        shutil.copy(f"{login_node.key}.pub", f"{key}.pub")
        key.chmod(0o600)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent(key, password="secret")))
        assert open_ssh(replace(target, key_path=key)).run(["true"]).code == 0

    def test_the_agent_of_the_configuration(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open, agent: Callable[..., Path]
    ) -> None:
        sock = agent(login_node.key)
        lines = [f"IdentityAgent {sock}", f"IdentityFile {tmp_path / 'none'}"]
        config = config_of(tmp_path, login_node, *lines)
        assert open_ssh(Target("hpc", config=config)).run(["true"]).code == 0
        config = config_of(tmp_path, login_node, *lines, "IdentitiesOnly yes")
        assert "no key to log in" in why(open_ssh(Target("hpc", config=config)))

    def test_an_agent_that_is_gone(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        lines = [f"IdentityAgent {tmp_path / 'gone'}", f"IdentityFile {tmp_path / 'none'}"]
        sentence = why(open_ssh(Target("hpc", config=config_of(tmp_path, login_node, *lines))))
        assert f"the agent at {tmp_path / 'gone'} does not answer" in sentence

    def test_several_identities_are_tried_in_order(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        wrong = [new_key(tmp_path / name) for name in ("one", "two")]
        lines = [f"IdentityFile {key}" for key in (*wrong, login_node.key)]
        config = config_of(tmp_path, login_node, "IdentityAgent none", *lines)
        assert open_ssh(Target("hpc", config=config)).run(["true"]).code == 0

    def test_too_many_wrong_keys(self, login_node: Cluster, tmp_path: Path, open_ssh: Open) -> None:
        keys = [new_key(tmp_path / f"key{n}") for n in range(8)]
        lines = ["IdentityAgent none", *(f"IdentityFile {key}" for key in keys)]
        sentence = why(open_ssh(Target("hpc", config=config_of(tmp_path, login_node, *lines))))
        assert "no more attempts" in sentence
        assert "ssh.key_path" in sentence

    def test_a_user_that_is_kept_out(self, target: Target, open_ssh: Open) -> None:
        assert "does not let nobody in" in why(open_ssh(replace(target, user="nobody")))


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory, login_node: Cluster) -> Iterator[Cluster]:
    """A login node with one session a connection, that trusts certificates."""
    authority = new_key(tmp_path_factory.mktemp("ca") / "authority")
    extra = f"MaxSessions 1\nTrustedUserCAKeys {authority}.pub\n"
    with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=extra) as cluster:
        shutil.copy(authority, cluster.base / "client" / "authority")
        (cluster.base / "ssh" / "authorized" / "hut2").unlink()
        yield cluster


class TestSpecialServers:
    def test_a_certificate_opens_where_the_key_does_not(
        self, special: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        key = new_key(tmp_path / "mine")
        target = replace(target_of(special, "hut2"), key_path=key)
        assert "does not let hut2 in" in why(open_ssh(target))
        authority = special.base / "client" / "authority"
        subprocess.run(
            ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "hut2", f"{key}.pub"],
            check=True,
        )
        assert open_ssh(target).run(["id", "-un"]).out == "hut2\n"
        apart = (tmp_path / "mine-cert.pub").rename(tmp_path / "apart.pub")
        assert open_ssh(replace(target, cert_path=apart)).run(["true"]).code == 0
        gone = tmp_path / "gone.pub"
        assert f"{gone} does not exist" in why(open_ssh(replace(target, cert_path=gone)))

    @pytest.mark.parametrize(
        ("validity", "part"),
        [
            ("20200101:20200201", "expired at 2020-0"),
            ("20990101:20990201", "is valid from "),
        ],
    )
    def test_a_certificate_whose_time_is_not_now_is_named(
        self, special: Cluster, tmp_path: Path, open_ssh: Open, validity: str, part: str
    ) -> None:
        key = new_key(tmp_path / "mine")
        authority = special.base / "client" / "authority"
        signs = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "hut2", "-V", validity]
        subprocess.run([*signs, f"{key}.pub"], check=True)
        sentence = why(open_ssh(replace(target_of(special, "hut2"), key_path=key)))
        assert f"the certificate {tmp_path / 'mine-cert.pub'} {part}" in sentence
        assert "have the key signed anew" in sentence
        assert "authorized_keys" not in sentence

    def test_one_session_is_enough_for_one_command_after_the_other(
        self, special: Cluster, open_ssh: Open
    ) -> None:
        ssh = open_ssh(target_of(special))
        assert [ssh.run(["echo", str(n)]).out for n in range(30)] == [f"{n}\n" for n in range(30)]

    def test_a_session_too_many_is_a_sentence_and_no_failed_connection(
        self, open_ssh: Open, login_node: Cluster
    ) -> None:
        with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA="MaxSessions 0") as cluster:
            ssh = open_ssh(target_of(cluster))
            assert "MaxSessions" in why(ssh)
            assert ssh.retry_in == 0

    @pytest.mark.parametrize(
        ("extra", "part"),
        [
            ("HostKeyAlgorithms ssh-rsa", "no longer safe"),
            ("KexAlgorithms diffie-hellman-group14-sha1", "no longer safe"),
            ("AuthenticationMethods password\nPasswordAuthentication yes", "by password alone"),
            (
                "AuthenticationMethods publickey,keyboard-interactive\n"
                "KbdInteractiveAuthentication yes",
                "second factor",
            ),
        ],
    )
    def test_servers_that_cannot_be_used_say_why(
        self, extra: str, part: str, open_ssh: Open, login_node: Cluster
    ) -> None:
        with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=extra) as cluster:
            assert part in why(open_ssh(target_of(cluster)))

    def test_rsa_with_sha1_alone_is_named(
        self, tmp_path: Path, open_ssh: Open, login_node: Cluster
    ) -> None:
        key = new_key(tmp_path / "rsa", "-t", "rsa", "-b", "2048")
        with start_cluster(
            HUT_SLURM="0", HUT_SSHD_EXTRA="PubkeyAcceptedAlgorithms ssh-rsa"
        ) as cluster:
            authorized = cluster.base / "ssh" / "authorized" / "hut"
            shutil.copy(f"{key}.pub", authorized)
            sentence = why(open_ssh(replace(target_of(cluster), key_path=key)))
        assert "SHA-1" in sentence
        assert "ed25519" in sentence
