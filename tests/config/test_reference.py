"""Every key that configurations of older versions may hold: it is read, and means what it meant."""

from typing import Any

import pytest

from scripthut.config import parse
from scripthut.core.errors import Invalid
from scripthut.core.workflow import document

SSH = {
    "host": "login.example.org",
    "port": 2222,
    "user": "ada",
    "key_path": "~/.ssh/id_rsa",
    "cert_path": "~/.ssh/id_rsa-cert.pub",
    "known_hosts": "~/.ssh/known_hosts",
}
RULE = {
    "if": {"SCRIPTHUT_BACKEND": ["hpc", "old"]},
    "include": ["r"],
    "stacks": ["env"],
    "set": {"A": "1"},
    "append": {"PATH": "/opt/bin"},
    "init": "module load R",
}
COMMON = {"max_concurrent": 7, "env": [{"set": {"B": "2"}}], "env_groups": {"x": [RULE]}}
AWS = {"profile": "me", "region": "eu-west-1"}
WHOLE: dict[str, Any] = {
    "backends": [
        {
            "name": "hpc",
            "type": "slurm",
            "ssh": SSH,
            "account": "proj",
            "partition_map": {"normal": "compute"},
            "default_partition": "compute",
            "login_shell": True,
            "clone_dir": "~/clones",
            **COMMON,
        },
        {
            "name": "old",
            "type": "pbs",
            "ssh": SSH,
            "account": "proj",
            "login_shell": False,
            "queue": "batch",
            "clone_dir": "~/clones",
            **COMMON,
        },
        {
            "name": "here",
            "type": "local",
            "login_shell": False,
            "clone_dir": "~/clones",
            **COMMON,
        },
        {"name": "ecs", "type": "ecs", "aws": {**AWS, "cluster_name": "c"}},
        {
            "name": "cloud",
            "type": "batch",
            "aws": {**AWS, "job_queue": "q"},
            "job_definition": "d",
            "job_definition_mode": "locked",
            "default_image": "i",
            "job_role_arn": "a",
            "execution_role_arn": "b",
            "retry_attempts": 2,
            "log_group": "/aws/batch/job",
            "clone_dir": "",
            **COMMON,
        },
        {
            "name": "vm",
            "type": "ec2",
            "aws": AWS,
            "ami": "ami-1",
            "subnet_id": "s",
            "security_group_ids": ["g"],
            "instance_types": {"default": "c5.xlarge"},
            "instance_profile_arn": "p",
            "default_image": "i",
            "ssh_user": "ec2-user",
            "max_instances": 20,
            "idle_terminate_seconds": 1800,
            "startup_timeout_seconds": 600,
            "tag_prefix": "scripthut",
            "extra_tags": {"k": "v"},
            "clone_dir": "",
            **COMMON,
        },
    ],
    "sources": [
        {
            "name": "study",
            "type": "git",
            "url": "git@example.org:a/b.git",
            "branch": "dev",
            "deploy_key": "~/.ssh/deploy",
            "workflows_glob": ".hut/workflows/*.json",
            "clone_dir": "~/scripthut-repos",
            "postclone": "make",
            "max_concurrent": 5,
            "description": "ours",
            "backend": "hpc",
        },
        {
            "name": "scratch",
            "type": "path",
            "path": "/scratch/flows",
            "backend": "hpc",
            "workflows_glob": "*.json",
            "max_concurrent": 5,
            "description": "theirs",
        },
    ],
    "env": [RULE],
    "env_groups": {"r": [{"init": "module load R"}]},
    "stacks": [
        {
            "name": "env",
            "backends": ["hpc"],
            "cache_dir": "~/.cache/scripthut/stacks",
            "inputs": {"v": "1"},
            "input_files": ["uv.lock"],
            "prep": "uv sync",
            "init": "source x",
            "cpus": 2,
            "memory": "8G",
            "time_limit": "2:00:00",
            "partition": "short",
        }
    ],
    "agent": {
        "remote_command": "a",
        "tui_command": "b",
        "cpus": 2,
        "memory": "8G",
        "time_limit": "12:00:00",
        "partition": None,
        "env_group": None,
        "clone_full_history": True,
    },
    "pricing": {"region": "us-east-1", "price_type": "ondemand", "partitions": {"a": "c5.xlarge"}},
    "cache": {"enabled": True, "store": "s3://b/c", "tool": "aws"},
    "settings": {
        "poll_interval": 30,
        "server_host": "127.0.0.1",
        "server_port": 8001,
        "data_dir": "~/data",
        "sources_cache_dir": "~/sources",
        "filter_user": "ada",
        "cli_server": "https://hut.example.org",
        "cli_autostart": "never",
        "cli_auth": {
            "cf_client_id": "i",
            "cf_client_secret": "s",
            "cf_access_token": "t",
            "cloudflared_app": "https://hut.example.org",
        },
    },
}
DEFAULTS = {
    "settings": {
        "poll_interval": 60,
        "server_host": "127.0.0.1",
        "server_port": 8000,
        "data_dir": "~/.cache/scripthut",
        "sources_cache_dir": None,
        "filter_user": None,
        "cli_server": None,
        "cli_autostart": "ask",
        "cli_auth": None,
    },
    "slurm": {
        "max_concurrent": 100,
        "account": None,
        "partition_map": {},
        "default_partition": None,
        "login_shell": False,
        "clone_dir": "~/scripthut-repos",
        "env": [],
        "env_groups": {},
    },
    "pbs": {"max_concurrent": 100, "account": None, "queue": None, "login_shell": False},
    "local": {"login_shell": False, "clone_dir": "~/scripthut-repos"},
    "git": {
        "branch": "main",
        "deploy_key": None,
        "workflows_glob": ".hut/workflows/*.json",
        "postclone": None,
        "max_concurrent": None,
        "description": "",
    },
    "path": {"workflows_glob": ".hut/workflows/*.json", "max_concurrent": None, "description": ""},
}
LEAST = {
    "backends": [
        {"name": "slurm", "type": "slurm", "ssh": {"host": "h", "user": "u"}},
        {"name": "pbs", "type": "pbs", "ssh": {"host": "h", "user": "u"}},
        {"name": "local", "type": "local"},
    ],
    "sources": [
        {"name": "git", "type": "git", "url": "https://example.org/x"},
        {"name": "path", "type": "path", "path": "/x", "backend": "local"},
    ],
}
TASK = {
    "id": "fit",
    "name": "Fit",
    "command": "true",
    "working_dir": "sims",
    "partition": "normal",
    "cpus": 2,
    "memory": "4G",
    "time_limit": "1:00:00",
    "deps": [],
    "generates_source": "more.json",
    "output_file": "fit.out",
    "error_file": "fit.err",
    "env": [RULE],
    "gres": "gpu:v100:1",
    "image": "r-base",
    "inputs": ["data/*.csv"],
    "outputs": ["fit.rds"],
    "cache": True,
    "cache_scope": "inputs",
}


def test_a_configuration_with_every_key_is_read_and_kept() -> None:
    found = parse(WHOLE)
    assert [one.name for one in found.backends] == ["hpc", "old", "here"]
    assert found.backends[0].partition_map == {"normal": "compute"}
    assert found.later == {k: WHOLE[k] for k in ("stacks", "agent", "pricing", "cache")}
    assert [one.name for one in found.later_backends] == ["ecs", "cloud", "vm"]


def test_what_is_not_used_yet_is_said_once_in_a_sentence_each() -> None:
    notes = parse(WHOLE).notes
    for word in ("stacks", "agent", "pricing", "cache", "ecs", "cloud", "vm"):
        assert sum(word in note for note in notes) >= 1, (word, notes)
    assert len(notes) == len(set(notes))


@pytest.mark.parametrize("part", DEFAULTS)
def test_what_is_left_out_is_what_it_was(part: str) -> None:
    found = parse(LEAST)
    named = {one.name: one for one in (*found.backends, *found.sources)}
    held = (named.get(part) or found.settings).model_dump(mode="json")
    assert {key: held[key] for key in DEFAULTS[part]} == DEFAULTS[part]


def test_a_task_with_every_field_is_read_and_kept() -> None:
    (spec,) = document.parse({"title": "T", "env": [RULE], "tasks": [TASK]}).tasks
    kept = spec.kept()
    assert (kept["memory"], kept["time_limit"]) == (4 * 1024**3, 3600)
    same = TASK.keys() - {"memory", "time_limit", "env"}
    assert {key: kept[key] for key in same if key in kept} == {
        key: TASK[key] for key in same if key in kept
    }
    assert same - kept.keys() <= {"deps", "cache"}  # as by default
    assert document.parse([{**TASK, "dependencies": [], "deps": []}]).tasks[0].id == "fit"


@pytest.mark.parametrize("field", ["environment", "env_vars"])
def test_fields_that_were_removed_long_ago_say_what_took_their_place(field: str) -> None:
    with pytest.raises(Invalid, match="env"):
        document.parse([{**TASK, field: {"A": "1"}}])
