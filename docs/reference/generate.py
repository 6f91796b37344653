"""Write the reference from the code: `python docs/reference/generate.py`. A test says when that is due."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pierhead.appfile import published
from pierhead.catalog import reference as catalog
from pierhead.cli import reference
from pierhead.model import route
from pierhead.settings import describe


def pages() -> Mapping[str, str]:
    """Every generated file of this folder by its name."""
    return {
        "pier.schema.json": published.json_text(),
        "pier-yaml.md": published.markdown(),
        "services-d.schema.json": published.services_json_text(),
        "services-d.md": published.services_markdown(),
        "settings.md": describe.markdown(),
        "pier.example.toml": describe.example(),
        "commands.md": reference.markdown(),
        "routes.md": route.markdown(),
        "catalog-api.md": catalog.markdown(),
    }


def main() -> None:
    for name, text in pages().items():
        Path(__file__).with_name(name).write_text(text)


if __name__ == "__main__":
    main()
