"""What this machine's apt is told: where Debian's packages come from here, and how they are reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_APT = Path("/etc/apt")
_TRANSPORT = re.compile(r"Acquire::(https?|ftp|tor)::.*|Acquire::(ForceIPv4|ForceIPv6|Retries)\b.*", re.IGNORECASE)


def transport(dump: str) -> str:
    """Of `apt-config dump`: proxies, certificates, time limits; what decides how an archive is reached."""
    told = [line for line in dump.splitlines() if _TRANSPORT.fullmatch(line) and not line.endswith(' "";')]
    return "".join(f"{line}\n" for line in told)


def of_suite(suite: str) -> str:
    """This machine's apt sources for a Debian release, in deb822; the public archive where it has none. Blocks."""
    files = [_APT / "sources.list", *_APT.glob("sources.list.d/*.sources"), *_APT.glob("sources.list.d/*.list")]
    return chosen({file.name: file.read_text() for file in sorted(files) if file.is_file()}, suite)


def chosen(files: Mapping[str, str], suite: str) -> str:
    """What `of_suite` promises, from the contents of apt's files by name."""
    found = [stanza for name, text in files.items() for stanza in _stanzas(name, text) if _has_suite(stanza, suite)]
    public = f"Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {suite} {suite}-updates\nComponents: main"
    return "\n\n".join(found or [public]) + "\n"


def _stanzas(name: str, text: str) -> list[str]:
    """A file's sources, each as a stanza of deb822. Source: sources.list(5)."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    if not name.endswith(".sources"):
        return [_deb822(line.strip()) for line in lines if re.match(r"\s*deb\s", line)]
    return [stanza.strip() for stanza in re.split(r"\n\s*\n", "\n".join(lines)) if stanza.strip()]


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
