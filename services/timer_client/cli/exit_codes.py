"""The exit codes of the command, with what each means. The help text and docs/command.md say the same."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended, for scripts."""

    DONE = 0
    REFUSED = 1
    MISUSED = 2
    CANCELLED = 3
    UNREACHABLE = 4
    SYSTEM = 5
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127


MEANINGS = (
    ("0", "Done; of a countdown: the timer fired."),
    (
        "1",
        "The server refused (no such timer, plan or queue, a state, lease, limit, key); of `start`: it ended before.",
    ),
    ("2", "A wrong argument, answer, setting or file, whoever finds it wrong."),
    ("3", "The timer was cancelled, or the plan removed, while it was watched."),
    ("4", "The server could not be reached in time."),
    ("5", "The output could not be written, or the system refused something else."),
    ("126", "The command after `--` cannot be run."),
    ("127", "The command after `--` cannot be found."),
    ("130", "Ctrl-C: what a shell shows for a program that SIGINT has ended."),
    ("141", "SIGPIPE: the same, where the reader of the output has gone, as `head` does."),
    ("143", "SIGTERM: the same."),
)
