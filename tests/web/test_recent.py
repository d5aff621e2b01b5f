"""A fragment that was made is not made again, and what is held has a bound."""

import time

from scripthut.core.jobs import Area
from scripthut.store.files.recent import Recent


def test_the_oldest_go_when_there_is_no_more_room():
    recent = Recent(most=10)
    recent.put("a", b"aaaa")
    recent.put("b", b"bbbb")
    assert recent.get("a") == b"aaaa"
    recent.put("c", b"cccc")
    assert [recent.get(tag) for tag in "abc"] == [b"aaaa", None, b"cccc"]
    assert recent.put("d", b"d" * 11) == b"d" * 11  # too large for all
    assert [recent.get(tag) for tag in "acd"] == [None] * 3
    recent.put("e", b"e" * 9)
    recent.put("e", b"e" * 10)
    assert recent.get("e") == b"e" * 10


def test_a_summary_of_many_parts_that_did_not_change_is_served_at_once(client, hut, keep):
    keys = [f"t.{n}" for n in range(200)]
    hut.run(keys)
    table = "| n | v |\n|--|--|\n" + "| 1 | 2 |\n" * 10
    for key in keys:
        keep(f"{key}.md", f"**{key}**\n\n{table}".encode(), key=key, area=Area.FRAGMENT)
    first = client.get("/runs/abcdefgh/summary")
    assert first.text.count("<section") == 200
    took = []
    for _ in range(20):
        began = time.process_time()
        again = client.get("/runs/abcdefgh/summary")
        took.append(time.process_time() - began)
        assert again.data == first.data
    print(f"a summary of 200 parts: {min(took) * 1000:.1f} ms of processor time")
    assert min(took) < 0.005
    hut.change("abcdefgh", "t.7", state="failed")
    assert client.get("/runs/abcdefgh/summary").headers["ETag"] != first.headers["ETag"]
