"""The published schema says what is read, and what is shown says where it comes from."""

import json
from pathlib import Path

import pytest

from scripthut.config import Where, parse, resolve, schema, shown
from scripthut.core.errors import Invalid


def test_the_schema_refuses_keys_that_nobody_knows_and_knows_those_of_later_versions() -> None:
    made = json.loads(schema.text())
    assert made["additionalProperties"] is False
    assert {"backends", "sources", "stacks", "pricing", "settings"} <= set(made["properties"])
    assert "later" not in made["properties"]
    kinds = [
        one["$ref"].rpartition("/")[2] for one in made["properties"]["backends"]["items"]["oneOf"]
    ]
    assert kinds == ["Slurm", "PBS", "Local", "LaterBackend"]
    assert "if" in made["$defs"]["EnvRule"]["properties"]
    for kind in kinds[:3]:
        assert made["$defs"][kind]["additionalProperties"] is False


TEXT = """\
backends:
  - {type: ec2, name: cloud}
  - name: hpc
    type: slurm
    ssh: {host: h, key_path: /keys/id}
    env: [{set: {HF_TOKEN: hush, MY_PIN: hush, PLAIN: seen}}]
sources:
  - {name: s, type: git, url: 'https://ada:hush@git.example/s.git', deploy_key: /keys/deploy}
stacks: [{name: r}]
settings:
  database_url: postgresql+psycopg://hut:hush@db/hut
  secret_names: [MY_PIN]
  cli_auth: {cf_client_id: me, cf_client_secret: hush}
"""


@pytest.fixture
def values(tmp_path: Path) -> dict[str, shown.Value]:
    file = tmp_path / "scripthut.yaml"
    file.write_text(TEXT)
    where = Where(file, tmp_path, tmp_path)
    variables = {"SCRIPTHUT_SETTINGS_ALLOWED_HOSTS": "[a, b]"}
    return {one.place: one for one in shown.values(resolve(where, variables))}


def test_no_secret_is_shown(values: dict[str, shown.Value]) -> None:
    assert "hush" not in repr(values)
    assert values["backends[0].env[0].set.PLAIN"].value == "seen"
    assert values["sources[0].url"].value == "https://***@git.example/s.git"
    assert values["sources[0].deploy_key"].value == "/keys/deploy"
    assert values["backends[0].ssh.key_path"].value == "/keys/id"
    assert values["settings.cli_auth.cf_client_id"].value == "me"


def test_every_value_says_where_it_comes_from(
    values: dict[str, shown.Value], tmp_path: Path
) -> None:
    file = tmp_path / "scripthut.yaml"
    assert values["backends[0].name"].origin == f"{file}:3"
    assert values["backends[0].env[0].set.PLAIN"].origin == f"{file}:6"
    assert values["settings.allowed_hosts[1]"].origin == "SCRIPTHUT_SETTINGS_ALLOWED_HOSTS"
    assert values["settings.poll_interval"].origin == "default"
    assert values["stacks[0].name"].origin == f"{file}:9"


def test_secrets_that_are_numbers_or_within_a_value_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "scripthut.yaml"
    file.write_text(
        "pricing: {api_key: 1234567}\n"
        "env: [{init: 'export HF_TOKEN=hunter22 A=b'}]\n"
        "settings: {database_url: 'postgresql://h/d?user=u&password=hunter22'}\n"
        "sources: [{name: a, type: git, url: 'https://ghp_hunter22@github.com/a/b'}]\n"
    )
    found = {one.place: one.value for one in shown.values(resolve(Where(file), {}))}
    assert "hunter" not in repr(found) and "1234567" not in repr(found)
    assert found["env[0].init"] == "export HF_TOKEN=*** A=b"
    assert found["sources[0].url"] == "https://***@github.com/a/b"
    assert found["settings.poll_interval"] == 60


def test_no_secret_is_said_of_a_wrong_value() -> None:
    auth = {"cf_access_token": ["hunter22"]}
    with pytest.raises(Invalid, match="what stands there is not text") as invalid:
        parse({"settings": {"cli_auth": auth, "workers": "https://ghp_hunter22@h"}})
    assert "hunter22" not in str(invalid.value)


def test_no_secret_in_a_list_of_words_is_shown(tmp_path: Path) -> None:
    words = "[--token, hunter22, '--export=A=1,HF_TOKEN=hunter33 x', --qos=high]"
    backend = f"{{name: hpc, type: slurm, ssh: {{host: h}}, extra_args: {words}}}"
    (tmp_path / "a.yaml").write_text(f"backends: [{backend}]\n")
    found = shown.values(resolve(Where(tmp_path / "a.yaml", tmp_path, tmp_path), {}))
    assert [one.value for one in found if one.place.startswith("backends[0].extra_args")] == [
        "--token",
        "***",
        "--export=A=1,HF_TOKEN=***",
        "--qos=high",
    ]
