"""JSON to fold: a part at a time, numbers as they are written, nothing too deep or too large."""

import json
import time
from contextlib import suppress

import pytest

from scripthut.core.files.folding import MANY, NODES, Node, NotJson, folded, parse, part, records


def size(node: Node) -> int:
    return 1 + sum(map(size, node.nodes))


def test_values_are_shown_as_they_are_written() -> None:
    node = folded(parse(b'{"a": 1.50, "b": 12345678901234567890, "c": null, "d": true, "e": "x"}'))

    assert [(n.name, n.kind, n.text) for n in node.nodes] == [
        ("a", "number", "1.50"),
        ("b", "number", "12345678901234567890"),
        ("c", "word", "null"),
        ("d", "word", "true"),
        ("e", "string", '"x"'),
    ]


def test_a_folded_part_shows_a_glance() -> None:
    assert folded(parse(b'{"a": [1], "b": {}, "c": 2}')).text == "a: […], b: {…}, c: 2"


def test_a_long_array_is_shown_in_parts() -> None:
    value = parse(json.dumps(list(range(250))).encode())

    first, last = folded(value), folded(value, first=200)

    assert (len(first.nodes), first.after, first.count) == (MANY, 100, 250)
    assert (last.nodes[0].name, last.nodes[-1].text, last.after) == ("200", "249", None)


def test_a_deep_part_has_a_place_to_go_on_from() -> None:
    value = parse(b'{"a":' * 30 + b"1" + b"}" * 30)
    node = folded(value)
    while node.nodes:
        node = node.nodes[0]

    name, inner = part(value, node.place)

    assert (node.count, name) == (1, "a")
    assert folded(inner, node.place, name).nodes[0].place == (*node.place, 0)


def test_a_place_that_is_not_there_is_told() -> None:
    with pytest.raises(LookupError):
        part(parse(b'{"a": [1]}'), (0, 1))


def test_a_page_has_so_many_nodes() -> None:
    assert size(folded(parse(json.dumps([[0] * 90] * 90).encode()))) <= NODES + MANY


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nope",
        b'"\xff"',
        b"[1] 2",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000 + b"x",
    ],
)
def test_what_is_no_json_is_told(data: bytes) -> None:
    with pytest.raises(NotJson):
        parse(data)


def test_lines_of_values_keep_their_numbers() -> None:
    found = records(b'{"a": 1}\nnope\n[2]\n{"cut"', 5, is_end=False)

    assert [record.number for record in found.records] == [5, 6, 7]
    assert [record.node.kind if record.node else None for record in found.records] == [
        "object",
        None,
        "array",
    ]
    assert found.records[1].text == "nope\n"
    assert found.after == 18


MiB = 1024 * 1024
HOSTILE = {
    "brackets": b"[" * (8 * MiB),
    "empty arrays": b"[" + b"[]," * (2 * MiB) + b"[]]",
    "one number": b"9" * (8 * MiB),
    "one string": b'"' + b"x" * (8 * MiB - 2) + b'"',
    "escapes": b'"' + b"\\u0041" * MiB + b'"',
    "keys": b"{" + b",".join(b'"%d":{}' % n for n in range(140_000)) + b"}",
    "open string": b'"' + b"\\" * (8 * MiB - 1),
    "blanks": b" " * (8 * MiB),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_value_holds_a_worker(name: str) -> None:
    start = time.process_time()
    with suppress(NotJson):
        folded(parse(HOSTILE[name]))
    records(HOSTILE[name][: MiB // 2], 1, is_end=False)

    assert time.process_time() - start < 4


def test_many_lines_of_values_hold_nobody() -> None:
    line = b"[" * 500 + b"]" * 500 + b"\n" + json.dumps([[0] * 50] * 50).encode() + b"\n"
    start = time.process_time()

    found = records(line * 60, 1, is_end=True)

    assert sum(size(record.node) for record in found.records if record.node) <= NODES + 100 * MANY
    assert time.process_time() - start < 2
