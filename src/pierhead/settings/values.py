"""One value as the settings file, a variable or a flag has it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.kit import units
from pierhead.settings.describe import Setting


def parse(setting: Setting, text: str) -> Any:
    """The value that a variable's or a flag's text stands for. Raises: ValueError with the reason."""
    if setting.kind is bool:
        lower = text.lower()
        if lower not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            raise ValueError(f"{text!r} is neither true nor false")
        return lower in ("1", "true", "yes", "on")
    if setting.kind in (int, float) and not setting.is_size:
        try:
            return setting.kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is no {'whole ' if setting.kind is int else ''}number") from None
    return typed(setting, text)


def typed(setting: Setting, value: Any) -> Any:
    """The value that the file's TOML value stands for. Raises: ValueError with the reason."""
    if setting.kind is bool and isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _from_text(setting, value)
    if setting.kind in (int, float) and isinstance(value, int) and not isinstance(value, bool):
        return setting.kind(value)
    if setting.kind is float and isinstance(value, float):
        return value
    raise ValueError(f"must be {_wanted(setting)}, not {value!r}")


def items(text: str) -> tuple[str, ...]:
    """What a text separated by commas holds."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`a=b,c=d` as pairs; what has no `=` has an empty second part."""
    return tuple((name.strip(), value.strip()) for name, _, value in (item.partition("=") for item in items(text)))


def syslog_fault(text: str) -> str:
    """Why it is neither the path of a socket nor `host:port`; empty when it is one, or is empty."""
    host, _, port = text.rpartition(":")
    if not text or text.startswith("/") or (host and port.isdecimal() and 0 < int(port) < 65536):
        return ""
    return f"{text!r} is neither the path of a socket nor host:port: write /dev/log or 10.0.0.9:514"


def networks_faults(text: str) -> Iterator[str]:
    """What of a list of networks is none."""
    for item in items(text):
        try:
            ipaddress.ip_network(item)
        except ValueError:
            yield f"{item!r} is no network: write 10.0.0.0/8 or 10.1.2.3"


def _from_text(setting: Setting, text: str) -> Any:
    if setting.kind is str:
        return text
    if setting.kind is timedelta:
        return units.duration(text)
    if setting.is_size:
        return units.size(text)
    if setting.kind is Path:
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise ValueError(f"{text!r} must be an absolute path")
        return path
    raise ValueError(f"must be {_wanted(setting)}, not {text!r}")


def _wanted(setting: Setting) -> str:
    if setting.is_size:
        return 'a size ("256MiB") or a number of bytes'
    names = {str: "a text", Path: "a path", bool: "true or false", int: "a whole number", float: "a number"}
    return names.get(setting.kind, 'a duration ("30s")')
