"""The server's settings, checked before anything starts."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from timer_protocol.limits import Limits
from timer_protocol.settings import SERVER_VARIABLES, SettingError, told_place
from timer_server.access.keys import CLIENTS_FOLDER, CurveFiles

StoreKind = Literal["memory", "sqlite", "postgresql"]


class Config(Struct, frozen=True, kw_only=True):
    """All settings of the server.

    The store is the PostgreSQL database of `store_url`, or else the file at `store_path`, or else in memory.
    `metrics_bind` is None for no metrics, `curve` for no encryption. `name` is empty for the host's, `advertise` where
    others reach the binds. Only with PostgreSQL is there anything at `peer_bind`.
    """

    bind: str
    events_bind: str
    peer_bind: str = "tcp://127.0.0.1:8890"
    store_path: Path | None
    metrics_bind: tuple[str, int] | None
    log_level: str
    log_format: str
    limits: Limits
    curve: CurveFiles | None = None
    name: str = ""
    advertise: tuple[str, ...] = ()
    store_url: str = ""
    replication: Literal["required", "external", "none"] = "required"

    @property
    def store_kind(self) -> StoreKind:
        """What keeps the timers."""
        if self.store_url:
            return "postgresql"
        return "memory" if self.store_path is None else "sqlite"


def read_config(texts: Mapping[str, str]) -> Config:
    """The settings from the texts of variables; an empty one counts as unset. Raises `SettingError`."""
    values = {variable.field: variable.read(texts) for variable in SERVER_VARIABLES}
    return Config(
        bind=values["bind"],
        events_bind=values["events_bind"],
        peer_bind=values["peer_bind"],
        store_path=Path(values["store"].path) if values["store"].path else None,
        store_url=values["store"].url,
        replication=values["replication"],
        metrics_bind=values["metrics_bind"],
        log_level=values["log_level"],
        log_format=values["log_format"] or ("text" if sys.stderr.isatty() else "json"),
        limits=Limits(**{field: values[field] for field in Limits.__struct_fields__}),
        curve=_curve_files(values["curve_server_secret"], values["curve_clients"], texts),
        name=values["name"],
        advertise=values["advertise"],
    )


def _curve_files(secret: str, clients: str, texts: Mapping[str, str]) -> CurveFiles | None:
    if not secret:
        if clients:
            raise SettingError(
                f"TIMER_CURVE_CLIENTS is {clients!r}, but TIMER_CURVE_SERVER_SECRET is unset: set both"
                f"{told_place(texts, 'TIMER_CURVE_CLIENTS')}"
            )
        return None
    return CurveFiles(Path(secret), Path(clients) if clients else Path(secret).parent / CLIENTS_FOLDER)
