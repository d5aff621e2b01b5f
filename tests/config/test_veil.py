"""Secrets leave a text before it is edited, and come back to where they stood."""

import pytest

from scripthut.config.veil import unveil, veil
from scripthut.core.errors import Invalid, Refused

TEXT = """\
# mine: a comment stays
settings:
  database_url: postgresql+psycopg://hut:pa55word@db/hut   # with a password
  cli_auth: {cf_client_id: abc, cf_client_secret: 'hunter22'}
  secret_names: [PIN]
backends:
  - name: hpc
    type: slurm
    ssh: {host: login, key_path: ~/.ssh/id}
    env:
      - set:
          HF_TOKEN: "hunter44"
          PIN: 1234
          MODE: fast
          LONG_KEY: |
            line one
            line two
          PLAIN_KEY: &key some
            words
          COPY: *key
env: []
"""
HIDDEN = ("pa55word", "hunter22", "hunter44", "1234", "line one", "line two", "some\n")


def test_no_secret_is_in_the_text_and_all_the_rest_is() -> None:
    text = veil(TEXT, "a.yaml").text
    assert not [secret for secret in HIDDEN if secret in text]
    for kept in (
        *("# mine: a comment stays", "# with a password", "MODE: fast", "key_path: ~/.ssh/id"),
        *("secret_names: [PIN]", "cf_client_id: abc", "COPY: *key", "&key kept-secret-"),
    ):
        assert kept in text, kept


def test_what_was_not_touched_comes_back_byte_by_byte() -> None:
    before = veil(TEXT, "a.yaml")
    assert len(before.secrets) == 6
    assert unveil(before.text, "a.yaml", before) == TEXT
    windows = TEXT.replace("\n", "\r\n")
    before = veil(windows, "a.yaml")
    assert unveil(before.text, "a.yaml", before) == windows


def test_other_lines_may_change_and_entries_may_move() -> None:
    before = veil(TEXT, "a.yaml")
    edited = before.text.replace("MODE: fast", "MODE: slow").replace(
        "backends:\n", "backends:\n  - {name: new, type: local}\n"
    )
    new = unveil(edited, "a.yaml", before)
    assert new == TEXT.replace("MODE: fast", "MODE: slow").replace(
        "backends:\n", "backends:\n  - {name: new, type: local}\n"
    )


def test_a_secret_is_written_over_or_taken_out() -> None:
    before = veil("settings:\n  cli_auth:\n    cf_access_token: old\n", "a.yaml")
    assert unveil(before.text.replace("kept-secret-1", "new"), "a.yaml", before).endswith(": new\n")
    assert unveil("settings: {}\n", "a.yaml", before) == "settings: {}\n"


@pytest.mark.parametrize(
    "moved",
    [
        "settings: {cf_access_token: x, site_url: WORD}",
        "settings: {cli_auth: {cf_access_token: WORD}, site_url: WORD}",
        "settings: {cli_auth: {cf_access_token: x}} # WORD",
        "settings: {cli_auth: {cf_access_token: xWORD}}",
        "settings: {cli_auth: {cf_access_token: 'WORD'}}",
        "settings: {cli_auth: {WORD: x}}",
        "settings: {cli_auth: {cf_access_token: &a WORD}, site_url: *a}",
        "settings: {cli_auth: {cf_access_token: kept-secret-7}}",
    ],
)
def test_a_word_that_moved_elsewhere_is_refused_in_a_sentence(moved: str) -> None:
    before = veil("settings: {cli_auth: {cf_access_token: hunter22}}", "a.yaml")
    with pytest.raises(Refused, match=r"line 1: kept-secret-\d stands for") as refused:
        unveil(moved.replace("WORD", "kept-secret-1"), "a.yaml", before)
    assert "hunter22" not in str(refused.value)


def test_a_text_that_holds_such_words_has_others() -> None:
    before = veil("x-a: kept-secret-1\nsettings: {cli_auth: {cf_access_token: b}}", "a.yaml")
    assert "cf_access_token: kept-secret-x-1" in before.text
    assert unveil(before.text, "a.yaml", before).endswith("cf_access_token: b}}")


def test_a_text_that_is_not_yaml_is_not_shown() -> None:
    with pytest.raises(Invalid, match="line 2"):
        veil("settings:\n  HF_TOKEN: [", "a.yaml")


def test_names_of_the_running_settings_count_too() -> None:
    assert "77" not in veil("env: [{set: {MY_PIN: '77'}}]", "a.yaml", ["MY_PIN"]).text


@pytest.mark.parametrize(
    ("former", "edited"),
    [
        ("set:\n  HF_TOKEN: abc,def456\n", "set: {HF_TOKEN: WORD}\n"),
        ("set:\n  HF_TOKEN: abc, 456\n", "set: {HF_TOKEN: WORD}\n"),
        ("set:\n  HF_TOKEN: ab}456\n", "set: {HF_TOKEN: WORD}\n"),
        ("set:\n  HF_TOKEN: |\n   x: def456\n   y\n", "set:\n      HF_TOKEN: WORD\n"),
        ("set:\n  HF_TOKEN: |\n    def456 # x\n", "set:\n      HF_TOKEN: WORD\n      X: 1\n"),
    ],
)
def test_a_secret_that_would_say_something_else_is_not_put_back(former: str, edited: str) -> None:
    before = veil(former, "a.yaml")
    assert "456" not in before.text
    with pytest.raises(Refused, match=r"line \d: the value of set.HF_TOKEN.*value itself") as said:
        unveil(edited.replace("WORD", "kept-secret-1"), "a.yaml", before)
    assert "456" not in str(said.value) and said.value.__cause__ is None


COMMENTS = """\
# database_url: postgresql://u:hunter22@h/d
# HF_TOKEN: hunter22, or "hunter33"
settings:  # a comment stays
  # export HF_TOKEN='hunter22'
  database_url: postgresql://h/d?user=u&password=hunter22  # MY_KEY = hunter44
  # MY_PIN: hunter55
  secret_names: [MY_PIN]
sources:
  - {name: a, type: git, url: "https://ghp_hunter22@github.com/a/b"}
  - {name: b, type: git, url: "ssh://git@forge/a"}
env:
  - init: |  # PASSWORD: hunter66
      export HF_TOKEN=hunter22
  - init: >-
      curl -H 'Authorization: Bearer hunter22' --data a=b
  - init: login --token hunter22
  - init: |
      # no comment of ours
      export HF_TOKEN=$(cat ~/.token)
  - set: {X: "a # b", Y: 'c
      # d: e'}  # last_secret=hunter77"""


def test_secrets_in_comments_commands_and_addresses_are_not_shown_and_stay() -> None:
    before = veil(COMMENTS, "a.yaml")
    assert "hunter" not in before.text
    for kept in ("# HF_TOKEN: kept", "# a comment stays", "ssh://git@forge/a", "$(cat ~/.token)"):
        assert kept in before.text
    assert unveil(before.text, "a.yaml", before) == COMMENTS
    more = before.text.replace("settings:", "x-a: 1\nsettings:")
    assert unveil(more, "a.yaml", before) == COMMENTS.replace("settings:", "x-a: 1\nsettings:")


@pytest.mark.parametrize(
    "moved", ["a: WORD", "# note: WORD", "# HF_TOKEN: WORD 1", "a: 'b # WORD'"]
)
def test_a_comment_s_secret_stays_in_its_comment(moved: str) -> None:
    before = veil("# HF_TOKEN: hunter22\na: b\n", "a.yaml")
    with pytest.raises(Refused, match="stands for the value of a comment"):
        unveil(f"{moved}\n".replace("WORD", "kept-secret-1"), "a.yaml", before)


def test_names_that_are_none_hide_nothing() -> None:
    text = "settings: {secret_names: [[a], PIN]}\nenv: [{set: {PIN: '77'}}]\n"
    assert "77" not in veil(text, "a.yaml").text


@pytest.mark.parametrize("said", ["&hunter22", "&hunter22 # mine", "#hunter22", " &hunter22"])
def test_a_secret_that_yaml_takes_for_a_sign_is_not_shown(said: str) -> None:
    with pytest.raises(Invalid) as refused:
        veil(f"env:\n- set:\n    MODE: &fast\n    HF_TOKEN: {said}\n", "a.yaml")
    (problem,) = refused.value.problems
    assert problem.startswith("line 4: env[0].set.HF_TOKEN has no value, since `")
    assert "hunter22" not in problem and "quotes" in problem


def test_what_is_empty_and_a_comment_behind_it_are_no_secret() -> None:
    text = "env:\n- set:\n    HF_TOKEN: # to be filled in\n    A_KEY:\n    MODE: &fast\n"
    assert veil(text, "a.yaml").text == text


def test_the_word_behind_an_option_is_hidden_in_a_list() -> None:
    text = "backends:\n- extra_args: [--token, hunter22, -v, 'A_KEY=hunter33 x', --qos, high]\n"
    before = veil(text, "a.yaml")
    assert before.text == text.replace("hunter22", "kept-secret-1").replace(
        "'A_KEY=hunter33 x'", "kept-secret-2"
    )
    assert unveil(before.text, "a.yaml", before) == text
