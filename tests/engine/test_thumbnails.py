"""Thumbnails: small, made once, and whatever a picture is, the engine goes on."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from scripthut.core.jobs import Area
from scripthut.engine.children.workshop import WALL
from scripthut.engine.outputs.thumbnails import Studio
from scripthut.store.db import Database
from scripthut.store.files import pictures
from scripthut.store.files.kept import Kept
from scripthut.store.models import Picture
from tests.engine import test_collect
from tests.engine.test_collect import NOW, Bench

bench = test_collect.bench  # its fixture


class Darkroom:
    """A studio, its database and its kept bytes."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self.database, self.kept = database, kept
        self.studio = Studio(database.reading, database.writing, kept)

    def develop(self, *pictures_of: bytes) -> list[Picture]:
        shas = [self.kept.put(data) for data in pictures_of]
        with self.database.writing() as session:
            pictures.want(session, shas)
        while self.studio.turn(NOW):
            pass
        with self.database.reading() as session:
            return [session.get_one(Picture, sha) for sha in shas]

    def thumb(self, row: Picture) -> Image.Image:
        assert row.thumb, row.note
        return Image.open(io.BytesIO(self.kept.read(row.thumb)))


@pytest.fixture
def room(database: Database, tmp_path: Path) -> Iterator[Darkroom]:
    yield Darkroom(database, Kept(tmp_path / "kept"))


def drawn(
    mode: str, size: tuple[int, int], form: str, colour: object = None, **how: object
) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").convert(mode).save(out, form, **how)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, raw: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", raw), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


KINDS = {
    "PNG": "RGB RGBA P L 1 I;16",
    "JPEG": "RGB L CMYK",
    "GIF": "P",
    "WEBP": "RGB",
    "BMP": "RGB",
}


@pytest.mark.parametrize(
    ("mode", "form"), [(mode, form) for form, modes in KINDS.items() for mode in modes.split()]
)
def test_a_large_picture_gets_a_small_one(room: Darkroom, mode: str, form: str) -> None:
    (row,) = room.develop(drawn(mode, (1600, 900), form))

    assert (row.width, row.height) == (1600, 900)
    assert room.thumb(row).size == (480, 270)
    assert len(room.kept.read(row.thumb or "")) < 120_000


def test_a_small_picture_is_its_own(room: Darkroom) -> None:
    data = drawn("L", (60, 40), "PNG")
    (row,) = room.develop(data)
    assert row.thumb == row.sha256


def test_a_picture_stands_upright_as_the_browser_shows_it(room: Darkroom) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    (row,) = room.develop(drawn("RGB", (1600, 800), "JPEG", exif=exif))
    width, height = room.thumb(row).size
    assert height > width


def test_what_is_transparent_stays_so(room: Darkroom) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (1000, 1000), (255, 0, 0, 0)).save(out, "PNG")
    (row,) = room.develop(out.getvalue())
    assert room.thumb(row).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "a bomb": lambda: png(100_000, 100_000, zlib.compress(b"\0" * 1000)),
    "a bomb that is honest about its pixels": lambda: png(
        8000, 8000, zlib.compress(b"\0" * (8000 * 24_001), 9)
    ),
    "nothing": lambda: b"",
    "text": lambda: b"<svg onload=alert(1)>",
    "cut": lambda: drawn("RGB", (1000, 700), "PNG")[:5000],
    "a false checksum": lambda: png(500, 500, b"x" * 100),
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_picture_is_refused_with_a_reason(room: Darkroom, kind: str) -> None:
    data = HOSTILE[kind]()
    began = time.monotonic()
    bad, good = room.develop(data, drawn("RGB", (1000, 1000), "PNG"))

    assert time.monotonic() - began < 2 * WALL + 2
    assert bad.thumb or bad.note
    assert bad.note is None or bad.thumb is None
    assert good.thumb, "the next one is made all the same"


def test_the_bomb_is_not_opened(room: Darkroom) -> None:
    (row,) = room.develop(HOSTILE["a bomb"]())
    assert (row.thumb, row.note) == (None, "has too many pixels for a thumbnail")
    assert row.width == 100_000


def test_a_content_is_worked_on_once(room: Darkroom) -> None:
    data = drawn("RGB", (1000, 1000), "PNG")
    room.develop(data)
    with room.database.writing() as session:
        pictures.want(session, [room.kept.put(data)])
    assert room.studio.turn(NOW) == 0


def test_a_collected_plot_waits_for_its_thumbnail_and_a_drawing_does_not(bench: Bench) -> None:
    bench.disk.write("a.png", b"png")
    bench.disk.write("b.svg", b"<svg/>")
    bench.disk.write("c.txt")
    bench.disk.write("d.png", b"png", Area.FRAGMENT)
    bench.collect()
    with bench.database.reading() as session:
        assert session.scalars(select(Picture.sha256)).all() == [bench.rows["a.png"].sha256]
