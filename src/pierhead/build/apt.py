"""What this machine's apt is told: where Debian's packages come from here, and how they are reached."""

from __future__ import annotations

import re
from pathlib import Path

_APT = Path("/etc/apt")
_TRANSPORT = re.compile(r"Acquire::(https?|ftp|tor)::.*|Acquire::(ForceIPv4|ForceIPv6|Retries)\b.*", re.IGNORECASE)


def transport(dump: str) -> str:
    """Of `apt-config dump`: proxies, certificates, time limits; what decides how an archive is reached."""
    told = [line for line in dump.splitlines() if _TRANSPORT.fullmatch(line) and not line.endswith(' "";')]
    return "".join(f"{line}\n" for line in told)


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
    """It is of Debian's own archive: other archives name their suites or components in other ways."""
    known = {suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates"}
    return bool(known & _values(stanza, "Suites")) and "main" in _values(stanza, "Components")


def _values(stanza: str, key: str) -> set[str]:
    found = re.search(rf"^{key}:(.*)$", stanza, re.MULTILINE | re.IGNORECASE)
    return set(found[1].split()) if found else set()
