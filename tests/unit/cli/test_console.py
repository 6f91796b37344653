import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pierhead.cli import console
from pierhead.kit import errors


def run(raised: Exception | None, *arguments: str, value: Any = None) -> Any:
    app = typer.Typer()

    @app.command()
    @console.exits
    async def command(as_json: console.Json = False) -> None:
        if raised:
            raise raised
        console.emit(value, as_json)

    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("family", "code"),
    [
        (errors.Invalid, 2),
        (errors.Denied, 3),
        (errors.NotFound, 4),
        (errors.Conflict, 5),
        (errors.Refused, 5),
        (errors.Failed, 6),
        (errors.Unavailable, 7),
        (errors.Broken, 70),
        (errors.PierError, 70),
    ],
)
def test_each_family_of_errors_has_its_exit_code(family: type[errors.PierError], code: int) -> None:
    ended = run(family())
    assert ended.exit_code == code
    assert ended.stdout == ""


def test_an_error_says_what_where_why_and_what_next() -> None:
    error = errors.Invalid(
        "[red]It[/] is bad.", problems=[errors.Problem("pier.yaml:3 a", "is [b]", "c?")], hint="Do d."
    )
    ended = run(error)
    assert ended.stderr == "Error: [red]It[/] is bad.\n  pier.yaml:3 a: is [b] (c?)\nDo d.\n"
    document = json.loads(run(error, "--json").stderr)
    assert document == {
        "error": {
            "kind": "Invalid",
            "message": "[red]It[/] is bad.",
            "hint": "Do d.",
            "problems": [{"place": "pier.yaml:3 a", "reason": "is [b]", "hint": "c?"}],
        }
    }


def test_an_interrupt_ends_without_a_trace() -> None:
    assert run(KeyboardInterrupt()).exit_code == 130  # type: ignore[arg-type]


def test_a_list_of_mappings_is_a_table_that_no_pipe_wraps() -> None:
    rows = [{"name": "a", "tags": ["x", "y"], "text": "long " * 40}, {"name": "[b]", "up": True, "none": None}]
    lines = run(None, value=rows).stdout.splitlines()
    assert [len(lines), lines[0].split()] == [3, ["name", "tags", "text", "up", "none"]]
    assert lines[1].startswith("a     x, y  long long")
    assert lines[2].split() == ["[b]", "yes"]
    assert json.loads(run(None, "--json", value=rows).stdout) == rows


def test_json_has_moments_and_durations_as_the_api_has_them() -> None:
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "for": timedelta(seconds=90)}
    assert json.loads(run(None, "--json", value=value).stdout) == {"at": "2026-01-02T00:00:00.000Z", "for": "90s"}
