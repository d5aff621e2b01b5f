"""Which files hold, how two become one, and what is said of a wrong one: place, line, remedy."""

from pathlib import Path

import pytest

from scripthut.config import Where, load, resolve
from scripthut.config.layers import Origin
from scripthut.core.errors import Invalid

GLOBAL = """\
backends:
  - name: hpc
    type: slurm
    ssh: {host: login.example.org}
env:
  - set: {A: "1"}
env_groups:
  r: [{init: module load R}]
  julia: [{init: module load julia}]
stacks:
  - {name: one, prep: a}
  - {name: two, prep: b}
agent: {cpus: 4}
settings:
  poll_interval: 30
"""


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def site(tmp_path: Path, users: str | None, project: str | None) -> Where:
    home, here = tmp_path / "home", tmp_path / "work/a"
    here.mkdir(parents=True)
    if users is not None:
        put(home / ".config/scripthut/scripthut.yaml", users)
    if project is not None:
        put(tmp_path / "work/scripthut.yaml", project)
    return Where(None, here, home)


def problems(text: str, tmp_path: Path) -> list[str]:
    with pytest.raises(Invalid) as caught:
        load(put(tmp_path / "wrong.yaml", text))
    assert caught.value.what == str(tmp_path / "wrong.yaml")
    return caught.value.problems


def test_a_projects_file_adds_its_environment_to_the_global_one(tmp_path: Path) -> None:
    project = 'env:\n  - set: {B: "2"}\nenv_groups:\n  r: [{init: mine}]\nstacks: [{name: two}]\n'
    found = resolve(site(tmp_path, GLOBAL, project), {})
    config = found.config
    assert [rule.set for rule in config.env] == [{"A": "1"}, {"B": "2"}]
    assert {k: v[0].init for k, v in config.env_groups.items()} == {
        "r": "mine",
        "julia": "module load julia",
    }
    assert config.later == {
        "stacks": [{"name": "one", "prep": "a"}, {"name": "two"}],
        "agent": {"cpus": 4},
    }
    assert [b.name for b in config.backends] == ["hpc"]
    users, mine = map(str, found.files)
    assert found.origins[("env", 1, "set", "B")] == Origin(mine, 2, ("env", 0, "set", "B"))
    assert found.origins[("env_groups", "r", 0, "init")].name == mine
    assert str(found.origins[("settings", "poll_interval")]) == f"{users}:15"


def test_a_projects_file_beside_a_global_one_may_not_name_backends(tmp_path: Path) -> None:
    where = site(tmp_path, GLOBAL, "settings: {}\nbackends: []\nagent: {}\n")
    with pytest.raises(Invalid) as caught:
        resolve(where, {})
    assert caught.value.what == str(tmp_path / "work/scripthut.yaml")
    assert [p.split(":")[0] for p in caught.value.problems] == ["backends", "settings"]
    assert "line 2" in caught.value.problems[0]
    assert "--config" in caught.value.problems[0]


@pytest.mark.parametrize("which", ["users", "project"])
def test_a_file_that_is_alone_is_the_whole_configuration(tmp_path: Path, which: str) -> None:
    found = resolve(site(tmp_path, **{"users": None, "project": None, which: GLOBAL}), {})
    assert [b.name for b in found.config.backends] == ["hpc"]
    assert len(found.files) == 1


def test_the_older_place_of_the_global_file_counts_too(tmp_path: Path) -> None:
    where = site(tmp_path, None, None)
    file = put(tmp_path / "home/.scripthut.yaml", GLOBAL)
    assert where.files() == (file,)
    newer = put(tmp_path / "home/.config/scripthut/scripthut.yaml", GLOBAL)
    assert where.files() == (newer,)


def test_a_global_file_found_from_within_its_own_directory_counts_once(tmp_path: Path) -> None:
    where = site(tmp_path, GLOBAL, None)
    (file,) = where.files()
    assert Where(None, file.parent, where.home).files() == (file,)


def test_the_named_file_is_taken_alone(tmp_path: Path) -> None:
    where = site(tmp_path, GLOBAL, None)
    named = put(tmp_path / "other.yaml", "settings: {poll_interval: 7}")
    found = resolve(Where(named, where.here, where.home), {})
    assert found.files == (named,)
    assert found.config.settings.poll_interval == 7
    assert [b.name for b in found.config.backends] == ["local"]


def test_what_is_wrong_names_its_place_and_its_line(tmp_path: Path) -> None:
    text = "backends:\n  - name: hpc\n    type: slurm\n    ssh:\n      port: lots\n"
    text += "settings:\n\n  poll_interval: 1\n"
    assert problems(text, tmp_path) == [
        "backends[0].ssh.host: is required (line 4)",
        "backends[0].ssh.port: 'lots' is not a whole number (line 5)",
        "settings.poll_interval: 1 is less than 5 (line 8)",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bakends: []", "bakends: is not a known key: did you mean backends? (line 1)"),
        ("settings: {pol_interval: 9}", "did you mean poll_interval? (line 1)"),
        ("poll_interval: 9", "it belongs under settings, as settings.poll_interval"),
        (
            "backends: [{type: local, name: a, max_concurent: 1}]",
            "backends[0].max_concurent: is not a known key: did you mean max_concurrent?",
        ),
        ("env:\n- sett: {A: b}", "env[0].sett: is not a known key: did you mean set? (line 2)"),
        ("workflows: []", "workflows: is no section: name where the workflow files are under"),
        ("projects: []", "projects: was removed in 0.6"),
        ("env: [{set: {A: 1.5}}]", "env[0].set.A: 1.5 is not a text: put it in quotes (line 1)"),
        ("backends: [{name: hpc}]", "backends[0]: needs a `type`: slurm, pbs, local (line 1)"),
        ("backends: [{name: a, type: slurmm}]", "the type slurmm is not one of slurm, pbs"),
        ("sources: [{name: s, type: git}]", "sources[0].url: is required (line 1)"),
        ("backends: 5", "backends: must be a list"),
        ("[1, 2]", "must be a mapping"),
        ("a: b: c", "line 1, column 5: is not YAML"),
        ("a:\n\t- b", "line 2, column 1: is not YAML"),
        ("settings: {}\nsettings: {}", "settings: stands there twice (lines 1 and 2)"),
        ("later: {}", "later: is not a known key"),
    ],
)
def test_each_mistake_has_its_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert any(says in problem for problem in problems(text, tmp_path)), problems(text, tmp_path)


def test_names_are_unique_and_the_sentence_says_which(tmp_path: Path) -> None:
    text = "backends:\n- {type: local, name: a}\n- {type: ec2, name: a}\n"
    assert problems(text, tmp_path) == ["backends: the name 'a' is used twice"]


def test_what_later_versions_will_use_is_kept_and_answered(tmp_path: Path) -> None:
    text = (
        "backends:\n- {type: batch, name: cloud, aws: {region: x, job_queue: q}}\n"
        "- {type: local, name: here, max_concurrent: 0}\n"
        "pricing: {region: eu}\ncache: {enabled: true}\n"
    )
    assert "backends[1].max_concurrent: 0 is less than 1 (line 3)" in problems(text, tmp_path)
    config = load(put(tmp_path / "ok.yaml", text.replace(": 0}", ": 1}")))
    assert [b.name for b in config.backends] == ["here"]
    assert [b.name for b in config.later_backends] == ["cloud"]
    assert config.later == {"pricing": {"region": "eu"}, "cache": {"enabled": True}}
    assert [note.split(":")[0] for note in config.notes] == ["pricing", "cache", "backend cloud"]


def test_a_file_of_aliases_does_not_grow_without_end(tmp_path: Path) -> None:
    lines = ["x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "has more than 100000 parts" in problems("\n".join(lines), tmp_path)


def test_words_that_older_yaml_took_for_truths_are_words(tmp_path: Path) -> None:
    text = "env: [{if: {on: no}, set: {FLAG: yes, ON: off}}]\n"
    text += "backends: [{type: local, name: y, login_shell: yes}]\n"
    config = load(put(tmp_path / "ok.yaml", text))
    assert config.env[0].set == {"FLAG": "yes", "ON": "off"}
    assert config.env[0].when == {"on": "no"}
    assert config.backends[0].login_shell is True
    assert config.backends[0].name == "y"


def test_keys_beginning_with_x_are_for_anchors(tmp_path: Path) -> None:
    text = "x-ssh: &s {host: h}\nbackends:\n- {type: pbs, name: p, ssh: {<<: *s, user: u}}\n"
    (part,) = load(put(tmp_path / "ok.yaml", text)).backends
    assert part.type == "pbs"
    assert (part.ssh.host, part.ssh.user) == ("h", "u")


def test_variables_override_settings_by_one_rule(tmp_path: Path) -> None:
    where = site(tmp_path, GLOBAL, None)
    names = {
        "SCRIPTHUT_SETTINGS_SERVER_PORT": "9001",
        "SCRIPTHUT_SETTINGS_OUTPUTS_FILES": "7",
        "SCRIPTHUT_SETTINGS_ALLOWED_HOSTS": "[a.example, b.example]",
        "SCRIPTHUT_SETTINGS_DATA_DIR": "~/12",
        "SCRIPTHUT_RUN_ID": "of a task that starts a server",
    }
    found = resolve(where, names)
    settings = found.config.settings
    assert (settings.server_port, settings.outputs.files, settings.poll_interval) == (9001, 7, 30)
    assert settings.allowed_hosts == ["a.example", "b.example"]
    assert settings.data_dir == Path("~/12")
    assert str(found.origins[("settings", "server_port")]) == "SCRIPTHUT_SETTINGS_SERVER_PORT"
    assert found.digest != resolve(where, {}).digest


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SCRIPTHUT_SETTINGS_SERVER_PORT", "lots", "SCRIPTHUT_SETTINGS_SERVER_PORT: 'lots' is not"),
        ("SCRIPTHUT_SETTINGS_SERVER_PROT", "1", "did you mean SCRIPTHUT_SETTINGS_SERVER_PORT?"),
        ("SCRIPTHUT_SETTINGS_ALLOWED_HOSTS", "[", "'[' is not a value in YAML"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    with pytest.raises(Invalid) as caught:
        resolve(site(tmp_path, None, None), {name: value})
    assert says in "\n".join(caught.value.problems)
