"""How the client knows a Consul that is asked over https, and shows itself to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from pierhead.kit import errors


@dataclass(frozen=True, slots=True)
class Tls:
    """Files are PEM. Everything empty: the system's authorities, no certificate of the client's own."""

    ca_file: str = ""
    """The authorities that the server's certificate is checked against."""
    cert_file: str = ""
    """The client's certificate, with those that lead to its authority."""
    key_file: str = ""
    """The key of that certificate."""
    name: str = ""
    """The name that the server's certificate must hold; empty: the host of the URL."""

    def context(self) -> ssl.SSLContext:
        """What connections are made with. Raises: Invalid (a file that is not what it should be)."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:  # ssl.SSLError is one
            raise _unusable("catalog.ca_file", self.ca_file, error) from error
        if self.cert_file or self.key_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file or None)
            except OSError as error:
                files = " and ".join(dict.fromkeys((self.cert_file, self.key_file)))
                raise _unusable("catalog.cert_file and catalog.key_file", files, error) from error
        return context


def _unusable(setting: str, files: str, error: OSError) -> errors.Invalid:
    reason = error.strerror or str(error)
    return errors.Invalid(
        f"The catalog cannot be asked over https: {files} cannot be used: {reason}",
        hint=f"Look at the settings {setting}: PEM files that this process may read, the key without a passphrase.",
    )
