"""A setting is written into a file as people write them, and nothing else changes."""

from pathlib import Path

import pytest
import yaml

from scripthut.config.edit import with_setting, write_setting
from scripthut.core.errors import Refused

FILES = {
    "nothing": "",
    "a comment alone": "# mine\n",
    "without settings": "backends:\n  - {name: a, type: local}  # here",
    "empty settings": "settings:\nenv: []\n",
    "settings with others": "settings:\n    # first\n    data_dir: /x\nenv: []\n",
    "the setting": "settings:\n  cli_autostart: ask # why\n  workers: 2\n",
    "quoted": "settings: {'cli_autostart': 'ask', workers: 2}\n",
    "in one line": "settings: {workers: 2}\n",
    "JSON": '{"backends": [], "settings": {"workers": 2}}',
    "JSON without settings": '{"backends": []}',
    "empty JSON": "{}",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_setting_is_set_and_the_rest_stays(text: str) -> None:
    new = with_setting(text, "cli_autostart", "never")
    before = yaml.safe_load(text) or {}
    settings = {**(before.get("settings") or {}), "cli_autostart": "never"}
    assert yaml.safe_load(new) == {**before, "settings": settings}
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(comment in new for comment in comments)
    assert with_setting(new, "cli_autostart", "never") == new


def test_a_file_that_is_written_too_unusually_is_left_alone() -> None:
    with pytest.raises(Refused, match="by hand"):
        with_setting("settings: &s {workers: 2}\nx-copy: *s\n", "cli_autostart", "never")


def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("env: []\n")
    real.chmod(0o600)
    link = tmp_path / "scripthut.yaml"
    link.symlink_to(real)
    write_setting(link, "cli_autostart", "always")
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(real.read_text())["settings"] == {"cli_autostart": "always"}
    write_setting(tmp_path / "new/scripthut.yaml", "cli_autostart", "never")
    assert (tmp_path / "new/scripthut.yaml").read_text() == "settings:\n  cli_autostart: never\n"
