"""SSH to a real sshd that is broken in many ways: one sentence each, and never half an answer."""

import shutil
import threading
import time
from contextlib import suppress
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
from tests.transports.steps import Open, config_of, target_of, until, why

pytestmark = pytest.mark.sshd


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestTheWay:
    def test_a_refused_connection(self, target: Target, login_node: Cluster, ssh: SSH) -> None:
        login_node.fault("ssh-stop")
        assert "refused the connection" in why(ssh)

    def test_a_name_that_nobody_knows(self, open_ssh: Open) -> None:
        for name in ("no.such.host.invalid", "a..b"):
            assert "cannot be resolved" in why(open_ssh(Target(name)))

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
        until(lambda: psutil.Process().num_fds() <= before)
        until(lambda: threading.active_count() <= threads)
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

    def test_a_connection_that_dies_again_and_again_leaves_nothing_open(
        self, login_node: Cluster, ssh: SSH
    ) -> None:
        here = psutil.Process()

        def open_now() -> tuple[int, int]:
            assert ssh.run(["echo", "out"]).out == "out\n"
            return here.num_fds(), threading.active_count()

        before = open_now()
        for _ in range(15):
            login_node.fault("ssh-kill-sessions")
            with suppress(Unreachable):
                ssh.run(["true"])
            open_now()
        until(lambda: open_now() <= before)

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
