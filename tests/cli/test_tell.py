"""`scripthut tell`: a channel is tried out."""

from pathlib import Path

import yaml
from click.testing import CliRunner

from scripthut.cli import commands
from scripthut.core.errors import NotFound
from tests.messengers.receivers import site


def test_a_channel_is_tried_out(tmp_path: Path) -> None:
    file = tmp_path / "scripthut.yaml"
    with site() as there:
        channel = {"name": "me", "type": "webhook", "url": f"{there.address}/hook"}
        file.write_text(yaml.safe_dump({"notifications": [channel]}))
        result = CliRunner().invoke(commands, ["tell", "me", "--config", str(file)])
        assert result.output == "Told me (webhook).\n"
        assert there.posts[0].json["event"] == "run.completed"


def test_a_channel_that_is_not_there_is_said(tmp_path: Path) -> None:
    file = tmp_path / "scripthut.yaml"
    file.write_text("notifications: []\n")
    result = CliRunner().invoke(commands, ["tell", "me", "--config", str(file)])
    assert isinstance(result.exception, NotFound)
    assert "no channel 'me'" in str(result.exception)
