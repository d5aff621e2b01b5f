"""docs/api.md names every address of the JSON API, and no other."""

import re

from flask import Flask

from tests.serving import ROOT

PREFIX = "/api/v1/"
NAMED = re.compile(r"`(GET|POST|DELETE) ([^`\s]+)`")
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def test_the_text_names_every_address(app: Flask) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    there = {
        f"{method} {plain(rule.rule.removeprefix(PREFIX))}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    named = {f"{method} {path}" for method, path in NAMED.findall(text)}
    assert named == there


def plain(rule: str) -> str:
    """An address without the kinds of its parts: `<int:row>` is `<row>`."""
    return CONVERTER.sub(r"<\1>", rule)
