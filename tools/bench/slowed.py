"""`python -m bench.slowed`: a program of ours with a slowness planted in it, which the guard has to find.

`SLOWED` is JSON: the program's module, a `place` in it as `module:Class.method`, and what each call of that costs more.
"""

import importlib
import os
import runpy
import time
from collections.abc import Callable
from typing import Any

import msgspec

SLOWED = "SLOWED"

_hoard: list[bytes] = []


class Slowness(msgspec.Struct, frozen=True):
    """What is planted: time for each call and for each thing in its argument, and memory that is never given back."""

    program: str
    place: str
    call_us: float = 0
    each_us: float = 0
    hoarded_bytes: int = 0

    def plant(self) -> None:
        """Has the method replaced. Raises AttributeError where there is none."""
        module, _, path = self.place.partition(":")
        class_name, _, name = path.partition(".")
        owner = getattr(importlib.import_module(module), class_name)
        setattr(owner, name, self._slow(getattr(owner, name)))

    def _slow(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def slow(itself: object, *args: Any, **kwargs: Any) -> Any:
            spin_us = self.call_us + (self.each_us * len(args[0]) if self.each_us else 0)
            until_ns = time.thread_time_ns() + int(spin_us * 1000)
            if self.hoarded_bytes:
                _hoard.append(os.urandom(self.hoarded_bytes))
            while time.thread_time_ns() < until_ns:
                pass
            return method(itself, *args, **kwargs)

        return slow


def main() -> None:
    slowness = msgspec.json.decode(os.environ[SLOWED], type=Slowness)
    slowness.plant()
    runpy.run_module(slowness.program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
