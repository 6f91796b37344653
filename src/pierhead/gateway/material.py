"""What HAProxy needs besides routes: certificates and pages, and what is wrong with some of them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

DEFAULT_PAGES = {
    "404": "<!doctype html><title>404</title><h1>Not found</h1><p>Nobody has declared this name and path here.</p>",
    "411": "<!doctype html><title>411</title><h1>Length required</h1>"
    "<p>Requests to this service must say how large they are.</p>",
    "413": "<!doctype html><title>413</title><h1>Too large</h1><p>This service takes no requests of that size.</p>",
    "503": "<!doctype html><title>503</title><h1>No instance</h1>"
    "<p>This name is known here, but no instance can serve it right now. Try again in a moment.</p>",
    "maintenance": "<!doctype html><title>503</title><h1>Maintenance</h1>"
    "<p>This service is being worked on. Please come back later.</p>",
}
"""Page → its HTML, where nobody gave another."""


@dataclass(frozen=True)
class Material:
    """The same object for as long as nothing of it changed."""

    has_tls: bool = False
    certificates: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Certificate → PEM of its chain and key, in the order in which names are looked up; the first is the default."""
    pages: Mapping[str, str] = field(default_factory=lambda: DEFAULT_PAGES)
    problems: Mapping[str, str] = field(default_factory=dict)
    """`certificate <name>` or `page <name>` → what is wrong with it."""

    @cached_property
    def mark(self) -> str:
        """Different for what HAProxy has to be told anew."""
        parts = [
            str(self.has_tls),
            *(f"{k}\0{v}" for k, v in [*self.certificates.items(), *sorted(self.pages.items())]),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


NONE = Material()
