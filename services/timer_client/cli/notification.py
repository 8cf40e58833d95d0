"""A notification that a timer has fired: by `notify-send`, else by the terminal itself, and the bell.

It is a courtesy: where it fails the command ends as it would have ended without it.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping

import click

from timer_client.cli.printable import printable
from timer_client.cli.text import standing, title
from timer_protocol.environment import process_environment
from timer_protocol.messages import Timer

_BELL = "\a"
_PATIENCE_S = 2.0
"""How long `notify-send` may take, which waits for a desktop that may hang."""

_WITHOUT = ("screen", "tmux", "dumb", "unknown")
"""They show none, though other variables may still be those of the terminal that they were started in."""

_OSC_9_PROGRAMS = {"iTerm.app", "WezTerm", "ghostty"}
_OSC_9_TERMS = ("xterm-kitty", "xterm-ghostty", "wezterm")
_OSC_777_TERMS = ("foot", "rxvt-unicode")


def notify(timer: Timer, *, with_bell: bool) -> None:
    """Shows that a timer has fired, as far as that is possible here, and says so where it is not."""
    streams = {"err": sys.stderr, "out": sys.stdout}
    terminal = next((name for name, stream in streams.items() if stream.isatty()), None)
    is_shown = _sent(timer)
    if terminal is not None:
        code = "" if is_shown else terminal_code(timer, process_environment())
        is_shown = is_shown or bool(code)
        click.echo(code + (_BELL if with_bell else ""), nl=False, err=terminal == "err")
    if not is_shown:
        click.echo("timer: no notification was shown: that takes notify-send, or a terminal with its own", err=True)


def terminal_code(timer: Timer, environment: Mapping[str, str]) -> str:
    """The code that makes the terminal show a notification; empty where it is not known to have one."""
    # A semicolon would part it, and what begins with a number is another code of some terminals.
    text = f"Timer: {title(timer)} {standing(timer)}".replace(";", ",")
    kind, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if kind.startswith(_WITHOUT) or program in _WITHOUT:
        return ""
    if kind.startswith(_OSC_777_TERMS):
        return f"\x1b]777;notify;Timer;{text}\x1b\\"
    if program in _OSC_9_PROGRAMS or kind.startswith(_OSC_9_TERMS) or "KITTY_WINDOW_ID" in environment:
        return f"\x1b]9;{text}\x1b\\"
    return ""


def _sent(timer: Timer) -> bool:
    """Whether `notify-send` has taken it. The label is in its title, as its text knows markup and escapes."""
    program = shutil.which("notify-send")
    if program is None:
        return False
    words = [program, "--app-name=timer", "--", printable(timer.label or timer.id), f"Timer {standing(timer)}"]
    try:
        ended = subprocess.run(  # noqa: S603 - the words are arguments, of which none is an option
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0
