"""Thumbnails, made in a child process of their own: a picture may be made to break its reader.

It is not the child that renders: what has read a hostile picture must not write HTML afterwards.
"""

import io
import json
import os

from PIL import Image, ImageOps

from scripthut.engine.children.workshop import serve

BOX = (480, 360)  # pixels that a thumbnail fits into
SMALL = 48 * 1024  # bytes of a picture inside the box that is its own thumbnail
PIXELS = 64_000_000  # of the largest picture that is opened
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "AVIF", "ICO")
QUALITY = 82
BROKEN = (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError)


def thumbnail(_words: str, data: bytes) -> bytes:
    """A line of JSON, {"width", "height", "why"}, and the thumbnail's bytes (WebP).

    No bytes: there is none, `why` says the reason; without a reason the picture is its own.
    """
    Image.MAX_IMAGE_PIXELS = None  # the size is looked at here, before anything is decoded
    width = height = 0
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > PIXELS:
                return _said(width, height, "has too many pixels for a thumbnail")
            if width <= BOX[0] and height <= BOX[1] and len(data) <= SMALL:
                picture.load()
                return _said(width, height, None)
            return _said(width, height, None) + _small(picture)
    except BROKEN as error:
        return _said(width, height, f"cannot be read as a picture ({type(error).__name__})")


def _small(picture: Image.Image) -> bytes:
    picture.draft("RGB", BOX)  # a JPEG is decoded in its small form
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "I;16":
        upright = upright.point(lambda value: value / 256).convert("L")
    has_alpha = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
    upright = upright.convert("RGBA" if has_alpha else "RGB")
    upright.thumbnail(BOX, Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    upright.save(out, "WEBP", quality=QUALITY, method=3)
    return out.getvalue()


def _said(width: int, height: int, why: str | None) -> bytes:
    return json.dumps({"width": width, "height": height, "why": why}).encode() + b"\n"


if __name__ == "__main__":
    os.nice(10)  # nobody waits for a thumbnail
    serve({"thumbnail": thumbnail})
