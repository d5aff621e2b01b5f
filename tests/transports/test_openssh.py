"""By the user's own `ssh`, against a real sshd: its sentences, and connections it shares."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripthut.core.errors import Unreachable
from scripthut.transports.openssh import OpenSSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster, start_cluster
from tests.scratch import scratch
from tests.transports.steps import config_of, new_key, target_of, until

pytestmark = pytest.mark.sshd
Open = Callable[[Target], OpenSSH]
SECOND_FACTOR = "AuthenticationMethods publickey,password\nPasswordAuthentication yes"


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    """A login node that lets hut2 in by a certificate alone, and the key that signs them."""
    authority = new_key(tmp_path_factory.mktemp("ca") / "authority")
    extra = f"TrustedUserCAKeys {authority}.pub\n"
    with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=extra) as cluster:
        (cluster.base / "ssh" / "authorized" / "hut2").unlink()
        yield cluster, authority


def why(ssh: OpenSSH) -> str:
    with pytest.raises(Unreachable) as caught:
        ssh.run(["true"])
    return str(caught.value)


def test_one_connection_carries_all_commands(target: Target, open_openssh: Open) -> None:
    ssh = open_openssh(target)
    first, second = (ssh.run(["sh", "-c", 'echo "$SSH_CONNECTION"']).out for _ in range(2))
    assert first == second != "\n"
    assert ssh.user == target.user
    assert str(ssh.home) == f"/home/{target.user}"


def test_a_connection_that_died_is_made_anew(
    target: Target, open_openssh: Open, login_node: Cluster
) -> None:
    ssh = open_openssh(target)
    ssh.run(["true"])
    login_node.fault("ssh-kill-sessions")
    for _ in range(5):
        try:
            assert ssh.run(["echo", "back"]).out == "back\n"
            return
        except Unreachable:
            continue
    raise AssertionError("it does not come back")


def test_another_host_key_is_refused_loudly(
    target: Target, open_openssh: Open, tmp_path: Path
) -> None:
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text()
    known = tmp_path / "known_hosts"
    known.write_text(f"[{target.host}]:{target.port} {other}")
    said = why(open_openssh(replace(target, known_hosts=known)))
    assert "shows another host key than the one that is known" in said
    assert "ask its administrator" in said


def test_an_unknown_host_is_refused(target: Target, open_openssh: Open, tmp_path: Path) -> None:
    said = why(open_openssh(replace(target, known_hosts=tmp_path / "none")))
    assert "host key of 127.0.0.1 is not known" in said


def test_a_key_that_does_not_open_and_one_that_others_can_read(
    target: Target, open_openssh: Open, tmp_path: Path
) -> None:
    key = new_key(tmp_path / "mine")
    assert "does not let you in" in why(open_openssh(replace(target, key_path=key)))
    assert target.key_path
    key = Path(shutil.copy(target.key_path, tmp_path / "open"))
    key.chmod(0o644)
    assert "can be read by others" in why(open_openssh(replace(target, key_path=key)))


@pytest.mark.parametrize("place", ["beside", "apart", "in the configuration"])
@pytest.mark.parametrize(
    ("validity", "part"),
    [("20200101:20200201", "expired at 2020-0"), ("20990101:20990201", "is valid from ")],
)
def test_a_certificate_whose_time_is_not_now_is_named(
    signing: tuple[Cluster, Path],
    tmp_path: Path,
    open_openssh: Open,
    validity: str,
    part: str,
    place: str,
) -> None:
    node, authority = signing
    key = new_key(tmp_path / "mine")
    signs = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "hut2"]
    target = replace(target_of(node, "hut2"), key_path=key)

    def sign(validity: str) -> Path:
        subprocess.run([*signs, "-V", validity, f"{key}.pub"], check=True)
        written = tmp_path / "mine-cert.pub"
        return written if place == "beside" else written.rename(tmp_path / "apart.pub")

    path = sign(validity)
    if place == "apart":
        target = replace(target, cert_path=path)
    if place == "in the configuration":
        config = config_of(tmp_path, node, f"IdentityFile {key}", f"CertificateFile {path}")
        target = Target("hpc", user="hut2", config=config)
    said = why(open_openssh(target))
    assert f"the certificate {path} {part}" in said
    assert "have the key signed anew" in said
    sign("-1h:+1h")
    assert open_openssh(target).run(["id", "-un"]).out == "hut2\n"


def test_a_host_that_is_not_there_says_so(target: Target, open_openssh: Open) -> None:
    assert "Connection refused" in why(open_openssh(replace(target, port=1)))


def test_noise_of_the_login_shell_is_no_answer(
    target: Target, open_openssh: Open, login_node: Cluster
) -> None:
    login_node.fault("banner", "Authorised users only")
    login_node.fault("noise", "Your quota is 93% full")
    login_node.fault("noise-err", "module: command not found")
    assert open_openssh(target).run(["echo", "fine"]).out == "fine\n"


def test_a_person_who_gave_a_second_factor_opens_the_way(
    tmp_path: Path, open_openssh: Open
) -> None:
    """A connection opened by hand, as ~/.ssh/config says where, carries the commands."""
    with (
        scratch() as sockets,
        start_cluster(HUT_SLURM="0") as cluster,
    ):
        lines = [f"ControlPath {sockets}/%C", f"IdentityFile {cluster.key}"]
        config = config_of(tmp_path, cluster, *lines)
        by_hand = ["ssh", "-F", str(config), "-o", "ControlMaster=yes", "-fN", "hpc"]
        subprocess.run(by_hand, check=True, timeout=30)  # the factor is asked for from now on
        sshd_config = cluster.sshd_config
        sshd_config.write_text(f"{SECOND_FACTOR}\n{sshd_config.read_text()}")
        cluster.fault("ssh-reload")
        anew = open_openssh(target_of(cluster))
        until(lambda: "password or a second factor" in why(anew))  # sshd is reading it
        through = OpenSSH(Target("hpc", config=config), sockets / "own")
        assert through.run(["echo", "in"]).out == "in\n"
        through.close()
        assert (
            subprocess.run(
                ["ssh", "-F", str(config), "-O", "check", "hpc"], capture_output=True, check=False
            ).returncode
            == 0
        )  # what a person opened stays open
        subprocess.run(["ssh", "-F", str(config), "-O", "exit", "hpc"], check=False)
