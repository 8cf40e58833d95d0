"""Reads PROTOCOL.md: its sections, its tables, and the exchanges that it promises."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import timer_protocol

PATH = Path(timer_protocol.__file__).parent / "PROTOCOL.md"

_HEADING = re.compile(r"#{1,6} (?P<title>.+)")
_FENCE = re.compile(r"```(?P<kind>\w*) ?(?P<note>[\w ]*)")
_FRAME = re.compile(r"(?P<peer>SUB )?(?P<direction>[<>]) (?P<number>\d+):(?: (?P<text>.*))?")
_PASSES = re.compile(r"\* (\d+) ms")
_SUBSCRIBES = re.compile(r'SUB subscribes to "(.*)"')


class Message(NamedTuple):
    """Frames that go one way: `>` from the client, `<` from the server."""

    line: int
    is_sent: bool
    by_subscriber: bool
    frames: list[bytes]


class Passes(NamedTuple):
    """Time that passes."""

    ms: int


class Subscribes(NamedTuple):
    """A topic that the SUB asks for."""

    topic: str


Step = Message | Passes | Subscribes


class Block(NamedTuple):
    """The text between two fences; `kind` and `note` are what stands behind the first."""

    line: int
    kind: str
    note: str
    lines: list[str]


Row = dict[str, str]


def read() -> str:
    """The document."""
    return PATH.read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands between a heading and the next one."""
    text = []
    inside = False
    for line, is_prose in _lines():
        heading = _HEADING.fullmatch(line) if is_prose else None
        if heading:
            inside = re.sub(r"^\d+\. ", "", heading["title"]) == title
        elif inside:
            text.append(line)
    assert text, f"no section {title!r}"
    return "\n".join(text)


def tables(title: str) -> list[list[Row]]:
    """The tables of a section, each as rows by the names of its columns."""
    found: list[list[Row]] = []
    columns: list[str] = []
    for line in section(title).splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not columns:
            columns = cells
            found.append([])
        elif not set(line) <= set("|-"):
            assert len(cells) == len(columns), line
            found[-1].append(dict(zip(columns, cells, strict=True)))
    return found


def plain(cell: str) -> str:
    """A cell without its code marks."""
    return cell.replace("`", "")


def blocks(kind: str) -> Iterator[Block]:
    """The fenced blocks of a kind, in their order."""
    block: Block | None = None
    for number, line in enumerate(read().splitlines(), 1):
        fence = _FENCE.fullmatch(line)
        if block is None and fence:
            block = Block(number, fence["kind"], fence["note"], [])
        elif block is not None and line == "```":
            if block.kind == kind:
                yield block
            block = None
        elif block is not None:
            block.lines.append(line)


def steps(block: Block) -> list[Step]:
    """What an exchange does, one after the other. Raises ValueError for a line that says nothing of the kind."""
    found: list[Step] = []
    for number, line in enumerate(block.lines, block.line + 1):
        if frame := _FRAME.fullmatch(line):
            _take_frame(found, number, frame)
        elif passes := _PASSES.fullmatch(line):
            found.append(Passes(int(passes[1])))
        elif subscribes := _SUBSCRIBES.fullmatch(line):
            found.append(Subscribes(subscribes[1]))
        else:
            raise ValueError(f"line {number}: {line!r}")
    return found


def _take_frame(found: list[Step], line: int, frame: re.Match[str]) -> None:
    text = frame["text"] or ""
    content = bytes.fromhex(text.removeprefix("hex ")) if text.startswith("hex ") else text.encode()
    if frame["number"] == "1":
        found.append(Message(line, frame["direction"] == ">", frame["peer"] is not None, [content]))
        return
    last = found[-1]
    assert isinstance(last, Message), f"line {line}: there is no frame 1"
    assert len(last.frames) + 1 == int(frame["number"]), f"line {line}: frames are numbered from 1"
    last.frames.append(content)


def _lines() -> Iterator[tuple[str, bool]]:
    """The lines, and whether they stand outside of fenced blocks."""
    is_fenced = False
    for line in read().splitlines():
        is_fence = line.startswith("```")
        yield line, not is_fenced and not is_fence
        is_fenced ^= is_fence
