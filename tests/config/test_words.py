"""What is wrong with a configuration's value is a sentence of ours, with a remedy that fits."""

from collections.abc import Mapping

import pytest

from scripthut.config import parse
from scripthut.core.errors import Invalid

HOOK = {"name": "a", "type": "webhook", "url": "https://x"}
LOCAL = {"name": "here", "type": "local"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            {"settings": {"data_dir": None}},
            "settings.data_dir: has no value: write one, or leave it out",
        ),
        (
            {"settings": {"outputs": {"keep_bytes": "9 bananas"}}},
            "settings.outputs.keep_bytes: '9 bananas' is not a size: write a number and a unit, "
            "like 200 GB",
        ),
        (
            {"settings": {"database_url": "mysql://h/hut"}},
            "settings.database_url: is not an address like sqlite:////srv/hut.db or "
            "postgresql+psycopg://user@host/hut",
        ),
        (
            {"settings": {"site_url": "hut.example.org"}},
            "settings.site_url: is not an address that begins with http:// or https://",
        ),
        (
            {"notifications": [{**HOOK, "url": "ftp://x"}]},
            "notifications[0].url: is not an address that begins with http:// or https://",
        ),
        (
            {"notifications": [{**HOOK, "on": ["over"]}]},
            "notifications[0].on[0]: 'over' is not one of 'completed', 'failed', 'cancelled', "
            "'first_failure' or 'stalled'",
        ),
        (
            {"backends": [{**LOCAL, "prices": {"cpu_hour": "x"}}]},
            "backends[0].prices.cpu_hour: 'x' is not a number",
        ),
        (
            {"backends": [{**LOCAL, "prices": {"cpu_hour": -1}}]},
            "backends[0].prices.cpu_hour: -1 is less than 0",
        ),
        ({"env": [{"set": {"A": [1]}}]}, "env[0].set.A: [1] is not text"),
        (
            {"zebra": 1},
            "zebra: is not a known key: known here are backends, env, env_groups, notifications, "
            "settings, sources",
        ),
    ],
)
def test_a_wrong_value_is_said_in_a_sentence(data: Mapping[str, object], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(data)
    assert refused.value.problems == [problem]
