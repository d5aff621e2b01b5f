"""The sections of scripthut.yaml that describe backends, and what is made of them."""

import re
from pathlib import Path

import pytest

from scripthut import config
from scripthut.backends import build
from scripthut.backends.cluster import ClusterBackend
from scripthut.config import load, parse, schema
from scripthut.core.errors import Invalid

ROOT = Path(__file__).parent.parent
PBS = {"type": "pbs", "name": "hpc", "ssh": {"host": "login.example.org"}}


def test_the_readmes_example_is_a_configuration(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(backends:.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "scripthut.yaml"
    file.write_text(text)
    found = load(file)
    assert [part.type for part in found.backends] == ["slurm", "pbs", "local"]
    for part in found.backends:
        build(part, found.settings).close()


def test_a_pbs_backend_needs_little() -> None:
    found = parse({"backends": [PBS]})
    (part,) = found.backends
    assert isinstance(part, config.PBS)
    assert (part.account, part.queue, part.login_shell) == (None, None, False)
    assert part.max_concurrent == 100
    backend = build(part, found.settings)
    assert isinstance(backend, ClusterBackend)
    assert backend.commands == 0
    backend.close()


def test_a_pbs_backend_takes_all_its_keys() -> None:
    keys = {
        "account": "a",
        "queue": "q",
        "login_shell": True,
        "max_concurrent": 7,
        "clone_dir": "c",
    }
    (part,) = parse({"backends": [{**PBS, **keys}]}).backends
    assert part.model_dump(include=set(keys)) == keys


def test_what_is_wrong_in_a_pbs_backend_is_named_by_its_place() -> None:
    wrong = {**PBS, "ssh": {"port": 22}, "partition_map": {}, "max_concurrent": 0}
    with pytest.raises(Invalid) as caught:
        parse({"backends": [wrong]})
    problems = "\n".join(caught.value.problems)
    assert "backends[0].ssh.host: is required" in problems
    assert "backends[0].partition_map: is not a known key" in problems
    assert "backends[0].max_concurrent: " in problems


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """`scripthut config schema > docs/schema/config.json` makes it anew."""
    assert (ROOT / "docs/schema/config.json").read_text() == schema.text()
