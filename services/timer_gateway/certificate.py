"""The gateway's certificate, which may be renewed while it runs."""

import ssl
from pathlib import Path


def renew(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Has new connections shown the certificate that is in the files now.

    Raises `OSError` where the files cannot be used together; then the one before is shown still.
    """
    # A context whose certificate has been taken and whose key has not can shake hands with nobody.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    context.load_cert_chain(certificate, key)
