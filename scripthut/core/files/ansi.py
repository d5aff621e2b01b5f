"""A terminal's colours -> names of classes."""

import re
from collections.abc import Iterator

# Colours and cursor moves (CSI), titles (OSC), and other escapes of two characters.
ESCAPE = re.compile(
    r"\x1b(?:\[(?P<codes>[0-?]*+)[ -/]*+(?P<what>[@-~])"
    r"|\][^\x07\x1b]*+(?:\x07|\x1b\\)?"
    r"|[ -/]*+[0-~]?)"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
ENDS = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",), 27: ("inverse",)} | {
    29: ("strike",)
}
# The sixteen colours of a terminal; the 256 and the true ones are shown by the nearest of them.
BASE = (
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205),
    (229, 229, 229), (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255),
    (255, 0, 255), (0, 255, 255), (255, 255, 255),
)  # fmt: skip
LEVELS = (0, 95, 135, 175, 215, 255)


class Painter:
    """Reads a terminal's text line by line; colours go on from one line to the next."""

    def __init__(self) -> None:
        self._styles: set[str] = set()
        self._colours: dict[str, int] = {}

    def parts(self, line: str) -> list[tuple[str, str]]:
        """The line as (classes, text), without escapes and controls."""
        found, start = [], 0
        for escape in ESCAPE.finditer(line):
            found.append((self._classes(), line[start : escape.start()]))
            start = escape.end()
            if escape["what"] == "m":
                self._take(escape["codes"] or "0")
        found.append((self._classes(), line[start:]))
        clean = ((name, CONTROLS.sub("", text)) for name, text in found)
        return [part for part in clean if part[1]]

    def _classes(self) -> str:
        colours = [f"{ground}{number}" for ground, number in sorted(self._colours.items())]
        return " ".join([*colours, *sorted(self._styles)])

    def _take(self, codes: str) -> None:
        numbers = (int(word) if word.isdigit() else 0 for word in re.split("[;:]", codes[:200]))
        for number in numbers:
            if number == 0:
                self._styles.clear()
                self._colours.clear()
            elif number in STYLES:
                self._styles.add(STYLES[number])
            elif number in ENDS:
                self._styles.difference_update(ENDS[number])
            elif number in (38, 48):
                colour = _extended(numbers)
                if colour is not None:
                    self._colours["fg" if number == 38 else "bg"] = colour
            else:
                self._plain_colour(number)

    def _plain_colour(self, number: int) -> None:
        for ground, first in (("fg", 30), ("bg", 40)):
            if first <= number < first + 8:
                self._colours[ground] = number - first
            elif first + 60 <= number < first + 68:
                self._colours[ground] = number - first - 52
            elif number == first + 9:
                self._colours.pop(ground, None)


def _extended(numbers: Iterator[int]) -> int | None:
    """The nearest of the sixteen to `5;n` or `2;r;g;b`; None when there is neither."""
    how = next(numbers, None)
    if how == 5:
        number = min(next(numbers, 0), 255)
        return number if number < 16 else _nearest(_of_256(number))
    if how == 2:
        red, green, blue = (min(next(numbers, 0), 255) for _ in range(3))
        return _nearest((red, green, blue))
    return None


def _of_256(number: int) -> tuple[int, int, int]:
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return grey, grey, grey
    number -= 16
    return LEVELS[number // 36], LEVELS[number // 6 % 6], LEVELS[number % 6]


def _nearest(colour: tuple[int, int, int]) -> int:
    def distance(index: int) -> int:
        return sum((a - b) ** 2 for a, b in zip(colour, BASE[index], strict=True))

    return min(range(16), key=distance)
