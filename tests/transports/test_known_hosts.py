"""Reading known_hosts as OpenSSH does."""

import base64
import subprocess
from pathlib import Path

import pytest

from scripthut.core.errors import Unreachable
from scripthut.transports.known_hosts import KnownHosts, Verdict, load

KIND = "ssh-ed25519"
OURS, OTHER, THIRD = b"our key", b"another key", b"a third key"


def line(hosts: str, blob: bytes, kind: str = KIND) -> str:
    return f"{hosts} {kind} {base64.b64encode(blob).decode()}"


def kept(tmp_path: Path, *lines: str) -> KnownHosts:
    path = tmp_path / "known_hosts"
    path.write_text("\n".join(lines) + "\n")
    return load([path])


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        ("login.hpc.org", "login.hpc.org"),
        ("LOGIN.hpc.org", "login.HPC.org"),
        ("other,login.hpc.org", "login.hpc.org"),
        ("*.hpc.org", "login.hpc.org"),
        ("login?.hpc.org", "login2.hpc.org"),
        ("[login.hpc.org]:2222", "[login.hpc.org]:2222"),
        ("*.hpc.org,!gate.hpc.org", "login.hpc.org"),
    ],
)
def test_a_key_is_known_for_the_hosts_of_its_line(tmp_path: Path, hosts: str, name: str) -> None:
    known = kept(tmp_path, line(hosts, OURS) + " a comment")
    assert known.verdict(name, KIND, OURS) is Verdict.KNOWN
    assert known.verdict(name, KIND, OTHER) is Verdict.CHANGED
    assert known.kinds(name) == [KIND]


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        ("login.hpc.org", "login.hpc.org.evil.net"),
        ("login.hpc.org", "[login.hpc.org]:2222"),
        ("[login.hpc.org]:2222", "login.hpc.org"),
        ("*.hpc.org,!gate.hpc.org", "gate.hpc.org"),
        ("[a-z]", "b"),
        ("|1|broken", "login"),
    ],
)
def test_a_line_for_others_says_nothing(tmp_path: Path, hosts: str, name: str) -> None:
    assert kept(tmp_path, line(hosts, OURS)).verdict(name, KIND, OURS) is Verdict.UNKNOWN


def test_login_nodes_behind_one_name_may_have_a_key_each(tmp_path: Path) -> None:
    known = kept(tmp_path, line("login", OURS), line("login", OTHER))
    verdicts = [known.verdict("login", KIND, blob) for blob in (OURS, OTHER, THIRD)]
    assert verdicts == [Verdict.KNOWN, Verdict.KNOWN, Verdict.CHANGED]


def test_a_revoked_key_stays_revoked_though_it_is_listed_too(tmp_path: Path) -> None:
    known = kept(tmp_path, line("login", OURS), "@revoked " + line("*", OURS))
    assert known.verdict("login", KIND, OURS) is Verdict.REVOKED


def test_a_certificate_authority_is_not_taken_for_a_key(tmp_path: Path) -> None:
    known = kept(tmp_path, "@cert-authority " + line("login", OURS))
    assert known.verdict("login", KIND, OURS) is Verdict.UNKNOWN


def test_names_that_ssh_keygen_hashed_are_found(tmp_path: Path) -> None:
    keys = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys], check=True)
    kind, encoded = keys.with_suffix(".pub").read_text().split()[:2]
    path = tmp_path / "known_hosts"
    path.write_text(f"[login.hpc.org]:2222 {kind} {encoded}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "login" not in path.read_text()
    blob = base64.b64decode(encoded)
    assert load([path]).verdict("[login.hpc.org]:2222", kind, blob) is Verdict.KNOWN
    assert load([path]).verdict("login.hpc.org", kind, blob) is Verdict.UNKNOWN


def test_odd_lines_are_passed_over(tmp_path: Path) -> None:
    odd = ["", "# login", "login", "login ssh-ed25519", "login ssh-ed25519 ???", "@who login x y"]
    assert kept(tmp_path, *odd, line("login", OURS)).kinds("login") == [KIND]


def test_several_files_count_and_a_missing_one_holds_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_text(line("login", OURS))
    known = load([first, second])
    assert known.verdict("login", KIND, OURS) is Verdict.KNOWN


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=f"{tmp_path} cannot be read"):
        load([tmp_path])
