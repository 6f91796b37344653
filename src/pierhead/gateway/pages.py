"""Pages of this machine that take the place of the gateway's own."""

from __future__ import annotations

from pathlib import Path

from pierhead.gateway.material import DEFAULT_PAGES

MOST_BYTES = 15_000
"""What fits in one of HAProxy's buffers beside the head of the answer."""


def from_folder(folder: Path | None, problems: dict[str, str]) -> dict[str, str]:
    """Every page: that of the folder (`404.html`, `503.html`, `maintenance.html`, …) where there is one."""
    found = dict(DEFAULT_PAGES)
    if folder is None:
        return found
    try:
        paths = sorted(folder.glob("*.html")) if folder.is_dir() else []
    except OSError:
        paths = []
    if not folder.is_dir():
        problems[f"pages in {folder}"] = "there is no such folder"
    for path in paths:
        try:
            found[_name(path)] = _text(path)
        except (OSError, ValueError) as error:
            problems[f"page {path.name}"] = str(error)
    return found


def _name(path: Path) -> str:
    if path.stem not in DEFAULT_PAGES:
        raise ValueError(f"is no page that the gateway shows: {', '.join(f'{name}.html' for name in DEFAULT_PAGES)}")
    return path.stem


def _text(path: Path) -> str:
    text = path.read_bytes()
    if not 0 < len(text) <= MOST_BYTES:
        raise ValueError(f"has {len(text)} bytes: 1 to {MOST_BYTES} fit")
    return text.decode()
