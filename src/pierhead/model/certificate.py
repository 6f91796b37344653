"""A certificate with its key: read, sealed for the catalog, opened by gateways. Pure but for the nonce of a seal.

The catalog holds `pier/certificates/<name>`: the chain in the clear, the key sealed with a key that servers and
gateways have in a file. Whoever reads or backs up the catalog has no private key.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID, NameOID

from pierhead.model.keys import Keys

PREFIX = "pier/certificates/"
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")
SOON = timedelta(days=14)
"""How long before its end a certificate is shown as a problem."""
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Certificate:
    name: str
    chain: str
    """PEM: its own certificate first, then those that vouch for it."""
    key: str = field(repr=False)
    """PEM, in the clear."""
    names: tuple[str, ...]
    """Host names that it is for; `*.` in front stands for one label."""
    begins_at: datetime
    ends_at: datetime

    @property
    def pem(self) -> str:
        return self.chain + self.key


def read(name: str, chain: str, key: str) -> Certificate:
    """A certificate whose parts belong together; both texts may hold both. Raises: ValueError with the reason."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a certificate: lower-case letters, digits, `.`, `_` and `-`")
    certificates = _chain(_KEY.sub("", chain))
    private = _private_key("".join(_KEY.findall(key)))
    if certificates[0].public_key() != private.public_key():
        raise ValueError("the key does not belong to the certificate")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    first = certificates[0]
    texts = [one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates]
    return Certificate(
        name, "".join(texts), plain.decode(), names(first), first.not_valid_before_utc, first.not_valid_after_utc
    )


def fault(ends_at: datetime, now: datetime) -> str:
    """What is wrong with a certificate that ends then; empty when nothing is."""
    if ends_at <= now:
        return f"ended on {ends_at:%Y-%m-%d}: browsers refuse it"
    if ends_at - now <= SOON:
        return f"ends on {ends_at:%Y-%m-%d}, in {(ends_at - now).days} days"
    return ""


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names that it is for. Raises: ValueError (none)."""
    try:
        held = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        found = held.get_values_for_type(x509.DNSName) if isinstance(held, x509.SubjectAlternativeName) else []
    except x509.ExtensionNotFound:
        found = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not found:
        raise ValueError("the certificate is for no host name")
    return tuple(dict.fromkeys(one.lower() for one in found))


def seal(certificate: Certificate, keys: Keys) -> dict[str, str]:
    """The document for the catalog; `opened` is its inverse."""
    sealed = keys.seal(certificate.key.encode(), _bound(certificate.name, certificate.chain))
    return {"chain": certificate.chain, "sealed_key": base64.b64encode(sealed).decode()}


def opened(name: str, document: Any, keys: Keys) -> Certificate:
    """Raises: ValueError with the reason."""
    chain, sealed = _text(document, "chain"), base64.b64decode(_text(document, "sealed_key"), validate=True)
    try:
        plain = keys.open(sealed, _bound(name, chain))
    except ValueError as error:
        raise ValueError(f"{error}: this gateway needs the server's `gateway.key`") from None
    return read(name, chain, plain.decode())


def is_current(document: Any, keys: Keys) -> bool:
    """Its key was sealed with the current one. Raises: ValueError."""
    return base64.b64decode(_text(document, "sealed_key"), validate=True).startswith(keys.prefix)


def told(document: Any) -> tuple[tuple[str, ...], datetime]:
    """The names in a document and when it ends, without any key. Raises: ValueError."""
    first = _chain(_text(document, "chain"))[0]
    return names(first), first.not_valid_after_utc


def _bound(name: str, chain: str) -> bytes:
    """A sealed key can be used under its own name and with its own chain only."""
    return f"{name}\0{chain}".encode()


def _text(document: Any, name: str) -> str:
    found = document.get(name) if isinstance(document, Mapping) else None
    if not isinstance(found, str):
        raise ValueError(f"{name}: must be a text")  # noqa: TRY004
    return found


def _chain(pem: str) -> Sequence[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ValueError(f"the certificate is no PEM: {error}") from None
    for one, following in itertools.pairwise(found):
        if one.issuer != following.subject:
            issuer = following.subject.rfc4514_string()
            raise ValueError(f"the chain is not in order: {issuer} did not issue what is above it")
    return found


def _private_key(pem: str) -> Any:
    if not pem:
        raise ValueError("there is no private key")
    try:
        return serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise ValueError("the key has a passphrase: remove it with `openssl pkey`") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the key is no PEM: {str(error).splitlines()[0]}") from None
