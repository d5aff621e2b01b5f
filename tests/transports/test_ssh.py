"""SSH to a real sshd that is broken in many ways: one sentence each, and never half an answer."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.ssh import LONGEST_REST, SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster, start_cluster
from tests.cluster.tcp_proxy import Proxy
from tests.transports.conftest import target_of

pytestmark = pytest.mark.sshd
Open = Callable[[Target], SSH]


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def why(ssh: SSH, timeout: float = 30) -> str:
    """The sentence with which a transport fails."""
    with pytest.raises(Unreachable) as caught:
        ssh.run(["true"], timeout=timeout)
    sentence = str(caught.value)
    assert sentence.endswith(".") or " with: " in sentence
    return sentence


def until(holds: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


def new_key(path: Path, *words: str) -> Path:
    given = [] if "-N" in words else ["-N", ""]
    kind = [] if "-t" in words else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", "-f", path, *kind, *given, *words], check=True)
    return path


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


def config_of(tmp_path: Path, node: Cluster, *lines: str) -> Path:
    """An ssh_config that names the login node `hpc`."""
    path = tmp_path / "config"
    basic = f"HostName {node.host}\n Port {node.port}\n User {node.user}\n"
    basic += f" UserKnownHostsFile {node.known_hosts}\n GlobalKnownHostsFile none\n"
    path.write_text(f"Host hpc\n {basic}" + "".join(f" {line}\n" for line in lines))
    return path


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


class TestTheWay:
    def test_a_refused_connection(self, target: Target, login_node: Cluster, ssh: SSH) -> None:
        login_node.fault("ssh-stop")
        assert "refused the connection" in why(ssh)

    def test_a_name_that_nobody_knows(self, open_ssh: Open) -> None:
        assert "cannot be resolved" in why(open_ssh(Target("no.such.host.invalid")))

    def test_a_listener_that_does_not_greet(self, login_node: Cluster, ssh: SSH) -> None:
        login_node.fault("ssh-hang")
        begun = time.monotonic()
        assert "did not greet" in why(ssh, timeout=1)
        assert time.monotonic() - begun < 4

    def test_something_else_than_an_sshd(self, open_ssh: Open, target: Target) -> None:
        with Proxy(target=1) as closed:
            assert "did not greet" in why(open_ssh(replace(target, port=closed.port)))

    def test_an_include_a_jump_and_its_hops_keys(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        key = f"IdentityFile {login_node.key}"
        hops = tmp_path / "hops"
        hops.write_text(config_of(tmp_path, login_node, key).read_text().replace("hpc", "gate"))
        config = config_of(tmp_path, login_node, key, "ProxyJump gate")
        config.write_text(f"Include {hops}\n{config.read_text()}")
        ssh = open_ssh(Target("hpc", config=config))
        assert ssh.run(["echo", "through"]).out == "through\n"
        big = ssh.run(["sh", "-c", "tee /dev/stderr"], stdin=b"x" * 3_000_000)
        assert (len(big.out), len(big.err)) == (3_000_000, 3_000_000)
        ssh.close()
        hops.write_text(hops.read_text().replace(str(login_node.known_hosts), "/dev/null"))
        sentence = why(open_ssh(Target("hpc", config=config)))
        assert sentence.startswith("The host key of gate (")

    def test_a_host_that_the_jump_host_cannot_reach(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        config = config_of(tmp_path, login_node, f"IdentityFile {login_node.key}")
        config.write_text(f"{config.read_text()}\nHost far\n HostName 127.0.0.1\n ProxyJump hpc\n")
        sentence = why(open_ssh(Target("far", port=1, config=config)))
        assert "far ([127.0.0.1]:1) cannot" in sentence

    def test_a_proxy_command(self, login_node: Cluster, tmp_path: Path, open_ssh: Open) -> None:
        command = f"ssh -F {tmp_path / 'gate'} -W %h:%p gate 2>/dev/null"
        lines = [f"IdentityFile {login_node.key}"]
        gate = config_of(tmp_path, login_node, *lines).read_text().replace("hpc", "gate")
        (tmp_path / "gate").write_text(gate)
        config = config_of(tmp_path, login_node, *lines, f"ProxyCommand {command}")
        ssh = open_ssh(Target("hpc", config=config))
        assert ssh.run(["cat"], stdin=b"y" * 3_000_000).out == "y" * 3_000_000
        proxies = [c for c in psutil.Process().children() if "-W" in c.cmdline()]
        assert len(proxies) == 1
        ssh.close()
        assert not proxies[0].is_running()

    def test_a_proxy_command_that_fails_is_quoted_at_once(
        self, login_node: Cluster, tmp_path: Path, open_ssh: Open
    ) -> None:
        line = "ProxyCommand echo no way out >&2; exit 1"
        begun = time.monotonic()
        sentence = why(open_ssh(Target("hpc", config=config_of(tmp_path, login_node, line))))
        assert "no way out" in sentence
        assert time.monotonic() - begun < 5


class TestBackOff:
    def test_it_doubles_to_a_minute_and_forgets_after_a_success(
        self, target: Target, login_node: Cluster, proxy: Proxy, by_proxy: SSH
    ) -> None:
        clock = Clock()
        ssh = SSH(by_proxy._target, now=clock)
        assert ssh.retry_in == 0
        login_node.fault("ssh-stop")
        rests = []
        for _ in range(7):
            why(ssh, timeout=5)
            rests.append(ssh.retry_in)
            clock.now += ssh.retry_in
        assert rests == [2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST]
        login_node.up()
        assert ssh.run(["true"]).code == 0
        assert ssh.retry_in == 0
        login_node.fault("ssh-stop")
        login_node.fault("ssh-kill-sessions")
        until(lambda: not ssh._link or not ssh._link.is_open)
        why(ssh, timeout=5)
        assert ssh.retry_in == 2
        ssh.close()

    def test_a_call_meanwhile_fails_at_once_with_the_same_words(
        self, proxy: Proxy, login_node: Cluster, by_proxy: SSH
    ) -> None:
        login_node.fault("ssh-stop")
        first = why(by_proxy)
        tried = proxy.connections
        assert why(by_proxy) == first
        assert proxy.connections == tried


class TestConnection:
    def test_it_is_kept(self, proxy: Proxy, by_proxy: SSH) -> None:
        for _ in range(10):
            by_proxy.run(["true"])
        assert (by_proxy.home, by_proxy.user) == (by_proxy.home, by_proxy.user)
        assert proxy.connections == 1
        assert by_proxy.commands == 11  # one more for home and user

    def test_it_is_made_anew_when_it_was_found_broken(self, proxy: Proxy, by_proxy: SSH) -> None:
        by_proxy.run(["true"])
        proxy.cut()
        assert by_proxy.run(["echo", "back"]).out == "back\n"
        assert proxy.connections == 2

    def test_a_distant_machine_is_only_slower(self, proxy: Proxy, by_proxy: SSH) -> None:
        proxy.delay = 0.05
        assert by_proxy.run(["cat"], stdin=b"z" * 500_000).out == "z" * 500_000

    @pytest.mark.parametrize("extra", [0, 1, 60, 100, 5_000, 100_000, 900_000, 1_000_100])
    def test_an_answer_cut_anywhere_is_no_answer(
        self, proxy: Proxy, by_proxy: SSH, extra: int
    ) -> None:
        ran = by_proxy.run(["mktemp"]).out.strip()
        script = 'echo once >>"$1"; head -c 1000000 /dev/zero'
        proxy.cut_after = proxy.answered + extra
        try:
            answer = by_proxy.run(["sh", "-c", script, "sh", ran])
        except Unreachable:
            assert proxy.connections == 1
        else:  # cut before the command was sent, or after the end mark
            assert (answer.code, len(answer.out)) == (0, 1_000_000)
            assert proxy.connections == 2 or extra > 1_000_000
        assert by_proxy.run(["cat", ran]).out in ("", "once\n")
        assert extra > 1_000_000 or proxy.connections == 2

    def test_a_killed_session_is_no_answer(self, login_node: Cluster, ssh: SSH) -> None:
        ssh.run(["true"])
        timer = threading.Timer(0.3, login_node.fault, ["ssh-kill-sessions"])
        timer.start()
        with pytest.raises(Unreachable, match="did not show its end"):
            ssh.run(["sh", "-c", "echo half of it; sleep 20"])
        timer.join()
        assert ssh.run(["echo", "back"]).out == "back\n"

    def test_a_hung_session_ends_in_time_and_the_next_call_takes_another(
        self, login_node: Cluster, ssh: SSH
    ) -> None:
        ssh.run(["true"])
        login_node.fault("ssh-hang-sessions")
        begun = time.monotonic()
        assert "within 1 seconds" in why(ssh, timeout=1)
        assert time.monotonic() - begun < 4
        assert ssh.run(["echo", "another"]).out == "another\n"

    def test_a_network_that_swallows_everything_ends_in_time(
        self, proxy: Proxy, by_proxy: SSH
    ) -> None:
        by_proxy.run(["true"])
        proxy.is_stalled = True
        begun = time.monotonic()
        with pytest.raises(Unreachable):
            by_proxy.run(["cat"], stdin=b"x" * 20_000_000, timeout=1)
        assert time.monotonic() - begun < 5

    @pytest.mark.parametrize("extra", range(0, 400, 50))
    def test_a_network_that_stops_anywhere_ends_in_time(
        self, proxy: Proxy, by_proxy: SSH, extra: int
    ) -> None:
        by_proxy.run(["true"])
        proxy.stall_after = proxy.answered + extra  # before, in or after the reply to `exec`
        begun = time.monotonic()
        with pytest.raises(Unreachable):
            by_proxy.run(["head", "-c", "1000", "/dev/zero"], timeout=0.5)
        assert time.monotonic() - begun < 5
        proxy.is_stalled = False
        assert by_proxy.run(["echo", "back"]).out == "back\n"

    def test_nothing_is_left_open(self, proxy: Proxy, by_proxy: SSH) -> None:
        by_proxy.run(["true"])
        before = psutil.Process().num_fds()
        threads = threading.active_count()
        for n in range(30):
            by_proxy.run(["echo", str(n)])
        assert psutil.Process().num_fds() <= before
        assert threading.active_count() <= threads
        by_proxy.close()
        until(lambda: psutil.Process().num_fds() < before)


class TestLoginShells:
    def test_noise_of_bashrc_is_not_part_of_the_answer(self, login_node: Cluster, ssh: SSH) -> None:
        login_node.fault("noise", "Welcome to HUTC!\\nYour quota is 93% full")
        login_node.fault("noise-err", "module: command not found")
        assert ssh.run(["sh", "-c", "echo out; echo err >&2"]) == Answer(0, "out\n", "err\n")
        assert ssh.user == "hut"

    def test_a_banner_before_the_login_is_not_part_of_it(
        self, login_node: Cluster, ssh: SSH
    ) -> None:
        login_node.fault("banner", "AUTHORISED USERS ONLY")
        assert ssh.run(["echo", "out"]).out == "out\n"

    def test_a_slow_login_counts_into_the_time(self, login_node: Cluster, ssh: SSH) -> None:
        login_node.fault("login-slow", "20")
        assert "within 1 seconds" in why(ssh, timeout=1)

    def test_a_login_shell_that_lets_nobody_in_is_quoted(self, open_ssh: Open) -> None:
        with start_cluster(HUT_SLURM="0", HUT_USERS="hut3:/usr/sbin/nologin") as cluster:
            sentence = why(open_ssh(target_of(cluster, "hut3")))
        assert "did not run the command" in sentence
        assert "not available" in sentence

    def test_csh_hands_every_word_on(self, open_ssh: Open) -> None:
        shell = shutil.which("tcsh")
        if shell is None:
            pytest.skip("not installed: tcsh (see tests/parts.sh)")
        words = ["it's\n!! \\n $HOME `id` ~", "!!", "one\ntwo\n", "grün", "plain"]
        with start_cluster(HUT_SLURM="0", HUT_USERS=f"hut4:{shell}") as cluster:
            ssh = open_ssh(target_of(cluster, "hut4"))
            assert ssh.run(["printf", "%s|", *words]).out == "".join(f"{w}|" for w in words)
            answer = ssh.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in\n!\n")
            assert answer == Answer(3, "in\n!\n", "err\n")
            assert ssh.home == Path("/home/hut4")
