"""Certificates of this gateway: files of this machine, documents of the catalog, and one that it makes itself.

What cannot be used is left out with the reason; the others never suffer from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pierhead.kit import clock, files
from pierhead.model import certificate, keys
from pierhead.model.certificate import Certificate
from pierhead.model.keys import Keys

SELF_MADE = "self-made"
_LIFETIME = timedelta(days=3650)


def from_folder(folder: Path, problems: dict[str, str]) -> dict[str, Certificate]:
    """`NAME.pem` holds chain and key, or `NAME.crt` the chain and `NAME.key` the key."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".crt"))
    except OSError as error:
        problems[f"certificates in {folder}"] = error.strerror or str(error)
        return {}
    found = {path.stem: _try(path.stem, partial(_from_file, path), problems) for path in paths}
    return {name: one for name, one in found.items() if one}


def from_catalog(
    documents: Mapping[str, str], key_file: Path | None, problems: dict[str, str]
) -> dict[str, Certificate]:
    """Those that `key_file` opens."""
    if not documents:
        return {}
    try:
        held = keys.read(key_file.read_text()) if key_file else None
        reason = "no key file: `--certificate-key`"
    except (OSError, ValueError) as error:
        held, reason = None, f"the key file {key_file} cannot be used: {error}"
    if held is None:
        problems |= {f"certificate {name}": reason for name in documents}
        return {}
    found = {name: _try(name, partial(_from_document, name, text, held), problems) for name, text in documents.items()}
    return {name: one for name, one in found.items() if one}


def self_made(path: Path) -> Certificate:
    """The certificate for names that none is for; made once and kept at `path`."""
    if not path.exists():
        files.replace(path, _make())
    text = path.read_text()
    return certificate.read(SELF_MADE, text, text)


def ordered(found: Mapping[str, Certificate], default: str) -> dict[str, str]:
    """Certificate → PEM: the default first, then the newest, which is the one that counts where two have a name."""
    order = sorted(found.values(), key=lambda one: (one.name != default, -one.begins_at.timestamp(), one.name))
    return {one.name: one.pem for one in order}


def faults(found: Mapping[str, Certificate], now: datetime) -> dict[str, str]:
    """Those that end soon, or have."""
    told = {f"certificate {one.name}": certificate.fault(one.ends_at, now) for one in found.values()}
    return {name: reason for name, reason in told.items() if reason}


def _try(name: str, read: Callable[[], Certificate], problems: dict[str, str]) -> Certificate | None:
    try:
        return read()
    except (OSError, ValueError) as error:
        problems[f"certificate {name}"] = str(error)
        return None


def _from_document(name: str, text: str, held: Keys) -> Certificate:
    return certificate.opened(name, json.loads(text), held)


def _from_file(path: Path) -> Certificate:
    text = path.read_text()
    return certificate.read(path.stem, text, path.with_suffix(".key").read_text() if path.suffix == ".crt" else text)


def _make() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pier gateway")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + _LIFETIME)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode() + plain.decode()
