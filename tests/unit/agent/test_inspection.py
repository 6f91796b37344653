"""No secret of a container is shown."""

from __future__ import annotations

import pytest

from pierhead.agent import inspection
from pierhead.agent.inspection import HIDDEN


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "PGPASS", "API_KEY", "apiKey", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SENTRY_DSN", "KEY"],
)
def test_values_under_names_that_sound_secret_are_hidden(name: str) -> None:
    assert inspection.environment([f"{name}=hush"], ()) == {name: HIDDEN}


def test_names_that_the_release_declares_are_hidden_and_the_rest_is_shown() -> None:
    found = inspection.environment(["STRIPE=hush", "PATH=/bin", "MONKEY=banana", "EMPTY="], {"STRIPE"})
    assert found == {"STRIPE": HIDDEN, "PATH": "/bin", "MONKEY": "banana", "EMPTY": ""}


def test_who_signs_in_is_hidden_in_addresses() -> None:
    found = inspection.environment(["DATABASE_URL=postgresql://app:hush@db:5432/app"], ())
    assert found == {"DATABASE_URL": f"postgresql://{HIDDEN}@db:5432/app"}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["app", "--password=hush"], ["app", f"--password={HIDDEN}"]),
        (["app", "--api-key", "hush", "--port", "80"], ["app", "--api-key", HIDDEN, "--port", "80"]),
        (["sh", "-c", "TOKEN=hush exec app"], ["sh", "-c", f"TOKEN={HIDDEN} exec app"]),
        (["curl", "https://me:hush@example/"], ["curl", f"https://{HIDDEN}@example/"]),
        (["httpd", "-f", "-p", "8000"], ["httpd", "-f", "-p", "8000"]),
    ],
)
def test_arguments_are_shown_without_what_sounds_secret(words: list[str], shown: list[str]) -> None:
    assert inspection.command(words) == shown
