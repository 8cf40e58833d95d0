"""A terminal's screen, as far as the countdown uses one: rows that wrap, and are wrapped anew when it is resized."""

import re

from rich.cells import get_character_cell_size

_CODE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """Rows of at most `width` cells. A row that was too long goes on in the next, and both are one paragraph."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._paragraphs = [""]
        self._row = 0
        self._column = 0

    @property
    def rows(self) -> list[str]:
        """The text of all rows."""
        return [row for paragraph in self._paragraphs for row in _wrapped(paragraph, self._width)]

    def resize(self, width: int) -> None:
        """Wraps what is there anew, with the cursor at its end, where the countdown leaves it."""
        self._width = width
        self._row = len(self.rows) - 1
        self._column = len(self.rows[-1])

    def write(self, output: str) -> None:
        """Obeys a program's output."""
        while output:
            if code := _CODE.match(output):
                self._obey(code[2], code[1])
                output = output[code.end() :]
                continue
            self._put(output[0])
            output = output[1:]

    def _obey(self, letter: str, number: str) -> None:
        match letter:
            case "A":
                self._row = max(self._row - int(number or 1), 0)
            case "K":
                assert number == "2", "erases whole rows only"
                self._set_row("")
            case "m" | "h" | "l":
                pass
            case _:
                raise AssertionError(f"not known here: {letter}")

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            self._column = 0
            if self._row == len(self.rows):
                self._paragraphs.append("")
        elif character != "\a":
            row = self.rows[self._row]
            self._set_row(row[: self._column] + character + row[self._column + 1 :])
            self._column += 1

    def _set_row(self, text: str) -> None:
        """Replaces a row. One that was the rest of a longer one stands by itself from then on."""
        rows = self.rows
        rows[self._row] = text
        self._paragraphs = rows
        self._row += len(_wrapped(text, self._width)) - 1


def _wrapped(paragraph: str, width: int) -> list[str]:
    rows, cells = [""], 0
    for character in paragraph:
        cells += get_character_cell_size(character)
        if cells > width:
            rows.append("")
            cells = get_character_cell_size(character)
        rows[-1] += character
    return rows
