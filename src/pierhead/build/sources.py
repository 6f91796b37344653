"""What this machine's package managers are told: lent to whoever builds here, never put into an image."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

_APT = Path("/etc/apt")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_FILES = {
    Path("/etc/pip.conf"): "etc/pip.conf",
    Path("~/.config/pip/pip.conf"): "root/.config/pip/pip.conf",
    Path("~/.config/uv/uv.toml"): "root/.config/uv/uv.toml",
    Path("~/.npmrc"): "root/.npmrc",
    _CERTIFICATES: str(_CERTIFICATES).lstrip("/"),
}
_LENT = re.compile(
    r"(PIP|UV)_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)"
    r"|(npm_config|NPM_CONFIG)_registry|(https?|no|all)_proxy",
    re.IGNORECASE,
)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say where packages come from; and the certificates of this machine, for those who ask."""
    lent = {name: value for name, value in environ.items() if _LENT.fullmatch(name)}
    trusting = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
    return lent | (dict.fromkeys(trusting, str(_CERTIFICATES)) if _CERTIFICATES.exists() else {})


def files() -> bytes:
    """The same as files, in a tar for the root of a build container."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for source, name in _FILES.items():
            if (found := source.expanduser()).is_file():
                data = found.read_bytes()
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o644
                tar.addfile(member, io.BytesIO(data))
    return target.getvalue()


def of_suite(suite: str) -> str:
    """This machine's apt sources for a Debian release, in deb822; the public mirror where it has none."""
    stanzas = [stanza for file in sorted(_APT.glob("sources.list.d/*.sources")) for stanza in _stanzas(file)]
    chosen = [stanza for stanza in stanzas if _has_suite(stanza, suite)]
    chosen += [line for line in map(_deb822, _lines()) if _has_suite(line, suite)]
    public = f"Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {suite} {suite}-updates\nComponents: main"
    return "\n\n".join(chosen or [public]) + "\n"


def _stanzas(file: Path) -> list[str]:
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("#"))
    return [stanza.strip() for stanza in re.split(r"\n\s*\n", text) if stanza.strip()]


def _lines() -> list[str]:
    found = [_APT / "sources.list", *sorted(_APT.glob("sources.list.d/*.list"))]
    lines = [line.strip() for file in found if file.is_file() for line in file.read_text().splitlines()]
    return [line for line in lines if re.match(r"deb\s", line)]


def _deb822(line: str) -> str:
    """`deb [signed-by=…] URI SUITE COMPONENT…` in the newer format."""
    match = re.fullmatch(r"deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)", line)
    if match is None:
        return ""
    options, uri, suite, components = match.groups()
    signed = re.search(r"signed-by=(\S+)", options or "", re.IGNORECASE)
    key = f"\nSigned-By: {signed[1]}" if signed else ""
    return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}{key}"


def _has_suite(stanza: str, suite: str) -> bool:
    suites = re.search(r"^Suites:(.*)$", stanza, re.MULTILINE)
    names = suites[1].split() if suites else []
    return any(name == suite or name.startswith(f"{suite}-") for name in names)
