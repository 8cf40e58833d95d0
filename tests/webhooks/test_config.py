"""webhooks.toml: what is allowed, and what is said of what is not."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from timer_webhooks.config import ConfigError, Url, read_config
from webhooks.conftest import OTHER_SECRET, SECRET

GOOD = {
    "queue": '"hooks/shop"',
    "prefix": '"order/"',
    "url": '"https://shop.example/hooks?token=t0ken"',
    "secrets": f'["{SECRET}"]',
}


def written(folder: Path, text: str) -> Path:
    path = folder / "webhooks.toml"
    path.write_text(text)
    return path


def table(name: str = "shop", **changes: str) -> str:
    lines = [f"{key} = {value}" for key, value in (GOOD | changes).items() if value]
    return "\n".join([f"[endpoints.{name}]", *lines, ""])


def test_everything_there_is(tmp_path: Path) -> None:
    more = table("books", queue='"hooks/books"', url='"http://[fd00::7]:8080"', allow='["fd00::/8", "10.0.0.7"]')
    rotating = table(secrets=f'["{SECRET}", "{OTHER_SECRET}"]', ca='"ca.pem"', concurrency="9")
    path = written(tmp_path, f'database = "state/hooks.db"\nmetrics = "[::1]:9465"\n{rotating}{more}')
    config = read_config(path)
    shop, books = config.endpoints
    assert (shop.name, shop.queue, shop.prefix, shop.concurrency) == ("shop", "hooks/shop", "order/", 9)
    assert shop.url == Url("https", "shop.example", 443, "/hooks?token=t0ken")
    assert shop.url.authority == "shop.example"
    assert shop.keys == (b"only for the tests of webhooks", b"the secret that was there before")
    assert shop.ca == tmp_path / "ca.pem"
    assert books.url == Url("http", "fd00::7", 8080, "/")
    assert books.url.authority == "[fd00::7]:8080"
    assert books.allow == (ip_network("fd00::/8"), ip_network("10.0.0.7/32"))
    assert config.database == tmp_path / "state" / "hooks.db"
    assert config.metrics == ("::1", 9465)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[endpoints.shop", "is no TOML"),
        ("", "missing required field `endpoints`"),
        ("[endpoints]", "[endpoints] has none"),
        ('databse = "x"\n[endpoints]', "unknown field `databse` (there may be endpoints, database, metrics)"),
        (table(qeue='"x"'), "endpoints.shop: Object contains unknown field `qeue`"),
        (table(url=""), "endpoints.shop: Object missing required field `url`"),
        (table(queue="7"), "endpoints.shop.queue: Expected `str`, got `int`"),
        (table(concurrency="0"), "endpoints.shop.concurrency: Expected `int` >= 1"),
        (table('"a b"'), "a name must be"),
        (table(secrets="[]"), "endpoints.shop.secrets must be one secret, or two"),
        (table(secrets=f'["{SECRET}", "{SECRET}", "{SECRET}"]'), "one secret, or two"),
        (table(secrets='["whsec_c2VjcmV0"]'), "endpoints.shop.secrets[0] must be whsec_ and 24 to 64 bytes"),
        (table(allow='["10.0.0.1/8"]'), "endpoints.shop.allow: 10.0.0.1/8 has host bits set"),
        (table(allow='["::ffff:10.0.0.0/104"]'), "stands for IPv4 addresses; write their range"),
        (table(url='"http://10.0.0.1/x"'), "which goes only to ranges in allow"),
        (table(url='"ftp://shop.example/x"'), "must be https://HOST[:PORT]/PATH, or http://"),
        (table(url='"https://me:s3cr3t@shop.example/x"'), "without a name and password"),
        (table(url='"https://shop.example/x#s3cr3t"'), "without a # part"),
        (table(url='"https:///s3cr3t"'), "its host or port is none"),
        (table(url='"https://shop.example:99999/s3cr3t"'), "its host or port is none"),
        (table(url='"https://me:s3cr3t/x"'), "its host or port is none"),
        (table(url='"https://[::1/s3cr3t"'), "its host or port is none"),
        (table(url='"https://[fe80::1%25eth0]/s3cr3t"'), "its host or port is none"),
        (table(url='"https://shop.example\\\\@s3cr3t/"'), "printable ASCII"),
        (table(url='"https://café.example/s3cr3t"'), "xn--"),
        (table(url='"https://shop.example/s3cr3t\\r\\nX: y"'), "printable ASCII"),
        (table() + table("other"), "share the queue 'hooks/shop'"),
        (f'metrics = "9465"\n{table()}', "metrics is '9465', but must be HOST:PORT"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(written(tmp_path, text))
    assert said in str(refused.value)
    assert "webhooks.toml" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "webhooks.toml")
    with pytest.raises(ConfigError, match="it is a folder"):
        read_config(tmp_path)
    (tmp_path / "webhooks.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        read_config(tmp_path / "webhooks.toml")
