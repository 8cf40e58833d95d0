"""The gateway's settings, checked before anything starts."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timer_client.settings import Settings
from timer_gateway.hosts import is_loopback
from timer_protocol.settings import GATEWAY_VARIABLES, LOG_VARIABLES, SettingError, told_place


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewaySettings:
    """Where the gateway is reached, by whom, and how it reaches the server (`client`)."""

    client: Settings = field(default_factory=Settings)
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    """Names under which it is reached, besides those of this machine; each perhaps with a port."""
    tokens: Path = Path("gateway-tokens")
    is_plain: bool = False
    """Whether the way to it is trusted, so that it may do without a certificate off the loopback interface."""
    certificate: Path | None = None
    key: Path | None = None
    log_level: str = "info"
    log_format: str = "json"

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(f"[{self.host}]" if ":" in self.host else self.host)

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks HTTPS."""
        return self.certificate is not None


def read_settings(texts: Mapping[str, str], client: Settings) -> GatewaySettings:
    """The settings from the texts of variables; an empty one counts as unset. Raises `SettingError`."""
    values = {variable.field: variable.read(texts) for variable in (*GATEWAY_VARIABLES, *LOG_VARIABLES)}
    certificate, key = values["gateway_certificate"], values["gateway_key"]
    if bool(certificate) != bool(key):
        given, missing = ("CERTIFICATE", "KEY") if certificate else ("KEY", "CERTIFICATE")
        raise SettingError(
            f"TIMER_GATEWAY_{given} is {certificate or key!r}, but TIMER_GATEWAY_{missing} is unset: set both"
            f"{told_place(texts, f'TIMER_GATEWAY_{given}')}"
        )
    host, port = values["gateway_bind"]
    settings = GatewaySettings(
        client=client,
        host=host,
        port=port,
        hosts=values["gateway_hosts"],
        tokens=Path(values["gateway_tokens"]),
        is_plain=values["gateway_plain"],
        certificate=Path(certificate) if certificate else None,
        key=Path(key) if key else None,
        log_level=values["log_level"],
        log_format=values["log_format"] or ("text" if sys.stderr.isatty() else "json"),
    )
    if not (settings.is_on_loopback or settings.is_encrypted or settings.is_plain):
        raise SettingError(
            f"TIMER_GATEWAY_BIND is {host}:{port}, which other machines reach: set TIMER_GATEWAY_CERTIFICATE and"
            " TIMER_GATEWAY_KEY, or TIMER_GATEWAY_PLAIN=1 where the way to it is trusted, such as behind a proxy"
            f" that speaks HTTPS{told_place(texts, 'TIMER_GATEWAY_BIND')}"
        )
    return settings
