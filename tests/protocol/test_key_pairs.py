"""Key pairs on disk: who may read them, that none is overwritten, and that a failure leaves nothing behind."""

import errno
import os
import stat
from pathlib import Path

import pytest

from timer_protocol.key_files import Key
from timer_protocol.key_pairs import KeyFileError, make_pair, read_key, write_key
from timer_protocol.sender import Right


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "mine/shop.key_secret", tmp_path / "allowed/shop.key"


def test_a_pair_is_made_once_and_then_kept(paths: tuple[Path, Path]) -> None:
    secret, public = paths
    assert make_pair(secret, public, "shop/") == [(secret, True), (public, True)]
    pair = read_key(secret)
    assert make_pair(secret, public, "shop/") == [(secret, False), (public, False)]
    assert (read_key(secret), read_key(public)) == (pair, Key(pair.public, prefix="shop/"))


def test_only_the_owner_may_read_a_secret(paths: tuple[Path, Path]) -> None:
    before = os.umask(0o022)
    try:
        make_pair(*paths)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (*paths, paths[0].parent)] == [0o600, 0o644, 0o700]


def test_another_key_is_not_overwritten(paths: tuple[Path, Path]) -> None:
    secret, public = paths
    make_pair(secret, public)
    text = public.read_text()
    for other in ({"prefix": "shop/"}, {"rights": frozenset[Right]({"read"})}, {"prefix": "shop/", "max_timers": 5}):
        with pytest.raises(KeyFileError, match="another key, prefix, rights, max_timers or role"):
            make_pair(secret, public, **other)  # type: ignore[arg-type]  # one of them
    secret.unlink()
    with pytest.raises(KeyFileError, match="its secret is not in"):
        make_pair(secret, public)
    assert (secret.exists(), public.read_text()) == (False, text)


def test_a_secret_without_its_public_file_is_removed(paths: tuple[Path, Path]) -> None:
    secret, public = paths
    public.parent.touch()  # a file where the folder should be
    with pytest.raises(KeyFileError, match=r"cannot make the folder .*allowed"):
        make_pair(secret, public)
    assert list(secret.parent.iterdir()) == []


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(KeyFileError, match=r"cannot write .*shop\.key: No space left on device"):
        write_key(tmp_path / "shop.key", Key("p"))
    assert list(tmp_path.iterdir()) == []
