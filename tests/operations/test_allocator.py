"""Large blocks are the system's, also once others have been freed; in a process of its own, as the setting stays."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"

CODE = """
import ctypes
import sys
from timer_server.process import LARGE_BYTES, give_large_blocks_back

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)


def is_from_the_system(size):
    # The size before a block carries flags in its lowest bits; the second says that it was mapped.
    block = libc.malloc(size)
    flags = ctypes.c_size_t.from_address(block - ctypes.sizeof(ctypes.c_size_t)).value
    libc.free(block)
    return bool(flags & 2)


is_from_the_system(8 * LARGE_BYTES)
if sys.argv[1] == "told":
    give_large_blocks_back()
print(is_from_the_system(2 * LARGE_BYTES))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="only glibc has the setting")
@pytest.mark.parametrize(("state", "expected"), [("untold", "False"), ("told", "True")])
def test_large_blocks_come_from_the_system_once_that_is_asked_for(state: str, expected: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE, state],
        env={"PYTHONPATH": str(SERVICES)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert answer.stdout.strip() == expected
