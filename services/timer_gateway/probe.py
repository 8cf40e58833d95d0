"""Asks a gateway on this machine for a sign of life, for a container's HEALTHCHECK."""

import http.client
import ssl

from timer_gateway.health import ALIVE_PATH
from timer_gateway.settings import GatewaySettings

_LIMIT_S = 2.0
_OK = 200
_OF_EVERY_INTERFACE = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, not a bind


def fault_at(settings: GatewaySettings) -> str | None:
    """What is wrong with the gateway at the address of the settings; None where it lives."""
    host = _OF_EVERY_INTERFACE.get(settings.host, settings.host)
    connection: http.client.HTTPConnection
    if settings.is_encrypted:
        context = ssl.create_default_context()
        context.check_hostname = False  # its certificate is for the name by which others reach it
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, settings.port, timeout=_LIMIT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, settings.port, timeout=_LIMIT_S)
    try:
        connection.request("GET", ALIVE_PATH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {host}:{settings.port}: {error}"
    finally:
        connection.close()
    return None if status == _OK else f"{host}:{settings.port} answers {status}, so it is no gateway"
