"""What OpenSSH's configuration says, and what is said over it."""

from pathlib import Path

import pytest

from scripthut.core.errors import Unreachable
from scripthut.transports.ssh_config import CONNECT_TIMEOUT, Host, Target, resolve

NO_OPENSSH = "no-such-ssh"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config"
    path.write_text(text)
    return path


BOTH = pytest.mark.parametrize("program", ["ssh", NO_OPENSSH])


@BOTH
def test_an_alias_is_resolved(tmp_path: Path, program: str) -> None:
    config = written(
        tmp_path,
        """
        Host hpc
          HostName login.hpc.org
          Port 2222
          User ada
          IdentityFile /keys/one
          IdentityFile /keys/%r@%h
          IdentitiesOnly yes
          CertificateFile /keys/one-cert.pub
          UserKnownHostsFile /keys/a /keys/b
          GlobalKnownHostsFile none
          HostKeyAlias cluster
          ConnectTimeout 7
          IdentityAgent /run/agent
        """,
    )
    assert resolve(Target("hpc", config=config), program) == Host(
        name="hpc",
        hostname="login.hpc.org",
        port=2222,
        user="ada",
        identities=(Path("/keys/one"), Path("/keys/ada@login.hpc.org")),
        identities_only=True,
        certificates=(Path("/keys/one-cert.pub"),),
        agent=Path("/run/agent"),
        known_hosts=(Path("/keys/a"), Path("/keys/b")),
        alias="cluster",
        jumps=(),
        proxy_command=None,
        connect_timeout=7.0,
    )


@BOTH
def test_what_is_said_wins(tmp_path: Path, program: str) -> None:
    config = written(
        tmp_path,
        "Host hpc\n Port 2222\n User ada\n IdentityFile /keys/one\n UserKnownHostsFile /keys/a\n",
    )
    said = Target("hpc", 22, "bob", Path("/my/key"), Path("/my/cert"), Path("/my/known"), config)
    host = resolve(said, program)
    assert (host.port, host.user) == (22, "bob")
    assert host.identities == (Path("/my/key"),)
    assert host.identities_only
    assert host.certificates == (Path("/my/cert"),)
    assert host.known_hosts == (Path("/my/known"),)


@BOTH
def test_without_any_configuration_there_are_defaults(tmp_path: Path, program: str) -> None:
    host = resolve(Target("login.hpc.org", config=written(tmp_path, "")), program)
    assert (host.hostname, host.port, host.connect_timeout) == (
        "login.hpc.org",
        22,
        CONNECT_TIMEOUT,
    )
    assert Path.home() / ".ssh" / "id_ed25519" in host.identities
    assert host.known_hosts[0] == Path.home() / ".ssh" / "known_hosts"
    assert (host.jumps, host.proxy_command, host.alias) == ((), None, None)


def test_an_included_file_counts(tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_text("Host hpc\n HostName included.hpc.org\n")
    config = written(tmp_path, f"Include {more}\n")
    assert resolve(Target("hpc", config=config)).hostname == "included.hpc.org"


@BOTH
def test_a_chain_of_jumps_is_laid_out_nearest_first(tmp_path: Path, program: str) -> None:
    config = written(
        tmp_path,
        """
        Host hpc
          ProxyJump gate,eve@[fe80::1]:2200
        Host gate
          HostName gate.hpc.org
          User ada
          ProxyJump bob@outer:2201
        """,
    )
    host = resolve(Target("hpc", known_hosts=Path("/my/known"), config=config), program)
    assert [(j.hostname, j.port) for j in host.jumps] == [
        ("outer", 2201),
        ("gate.hpc.org", 22),
        ("fe80::1", 2200),
    ]
    assert [j.user for j in host.jumps] == ["bob", "ada", "eve"]
    assert all(j.known_hosts[0] == Path("/my/known") for j in host.jumps)
    assert len(host.jumps[0].known_hosts) > 1


@BOTH
def test_jumps_in_a_circle_are_refused(tmp_path: Path, program: str) -> None:
    config = written(tmp_path, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(Unreachable, match="circles"):
        resolve(Target("a", config=config), program)


@BOTH
def test_a_proxy_command_has_its_signs_filled_in(tmp_path: Path, program: str) -> None:
    config = written(
        tmp_path, "Host hpc\n HostName login\n User ada\n ProxyCommand nc %h %p # %r\n"
    )
    assert resolve(Target("hpc", config=config), program).proxy_command == "nc login 22 # ada"


@BOTH
@pytest.mark.parametrize("user", ["$(id)", "a;b", "a b", "`id`"])
def test_a_name_cannot_smuggle_a_command_into_a_proxy_command(
    tmp_path: Path, program: str, user: str
) -> None:
    config = written(tmp_path, "Host *\n ProxyCommand nc %h %p %r\n")
    with pytest.raises(Unreachable):
        resolve(Target("hpc", user=user, config=config), program)


@BOTH
@pytest.mark.parametrize("host", ["", "-oProxyCommand=id"])
def test_a_host_that_looks_like_an_option_is_refused(program: str, host: str) -> None:
    with pytest.raises(Unreachable, match="is not the name of a host"):
        resolve(Target(host), program)


@BOTH
def test_a_broken_configuration_is_quoted(tmp_path: Path, program: str) -> None:
    config = written(tmp_path, "Host hpc\n Port many\n" if program == "ssh" else "nonsense\n")
    with pytest.raises(Unreachable, match=r"config.*(many|nonsense|Unparsable)"):
        resolve(Target("hpc", config=config), program)
