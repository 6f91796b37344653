"""What is shown of a secret: its name."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pierhead.control import builds, redaction, secrets
from pierhead.control.context import Context
from pierhead.control.redaction import SHORTEST, redactor
from pierhead.kit import errors
from pierhead.store import journal
from pierhead.store.journal import Subject


def test_a_value_is_replaced_wherever_it_is_and_the_longer_one_first() -> None:
    found = redactor([("KEY", b"hush-hush"), ("URL", b"postgres://me:hush-hush@db\n")])
    assert found.text("connects to postgres://me:hush-hush@db") == "connects to [secret URL]"
    assert found.text("key=hush-hush;hush-hush") == "key=[secret KEY];[secret KEY]"


def test_each_line_of_a_long_secret_is_one() -> None:
    found = redactor([("PEM", b"-----BEGIN-----\nMIIBOgIBAAJ\nab\n-----END-----\n")])
    assert found.text("MIIBOgIBAAJ") == "[secret PEM]"
    assert found.text("ab") == "ab"


VALUE = "pässword/+&'1\"\\"


@pytest.mark.parametrize(
    "written",
    [
        json.dumps({"password": VALUE}),
        json.dumps({"password": VALUE}, ensure_ascii=False),
        repr({"password": VALUE}),
        f"postgres://me:{quote(VALUE, safe='')}@db",
        f"https://db/?{urlencode({'password': VALUE})}",
        f'<property value="{html.escape(VALUE)}"/>',
        VALUE.encode().hex(),
        *(f"Basic {base64.b64encode(user + VALUE.encode() + b'...').decode()}" for user in (b"me:", b"you:", b"none:")),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_value_is_found_as_programs_write_it(written: str) -> None:
    shown = redactor([("KEY", VALUE.encode())]).text(written)
    assert "[secret KEY]" in shown
    assert len(shown) < len(written)


@given(st.text(min_size=SHORTEST, max_size=30), st.binary(max_size=8), st.binary(max_size=8))
def test_base64_is_found_whatever_stands_around_the_value(value: str, before: bytes, after: bytes) -> None:
    part = value.strip()
    assume(len(part) >= SHORTEST and len(part.splitlines()) == 1)
    encoded = base64.b64encode(before + part.encode() + after).decode()
    assert "[secret KEY]" in redactor([("KEY", value.encode())]).text(encoded)


@given(st.lists(st.text(alphabet="abc", min_size=SHORTEST, max_size=8), min_size=1), st.text(alphabet="abc"))
def test_nothing_of_a_value_is_left_and_nothing_else_is_lost(values: list[str], text: str) -> None:
    found = redactor([(str(number), value.encode()) for number, value in enumerate(values)])
    shown = re.sub(r"\[secret \d+\]", "\n", found.text(text))
    assert not any(value in part for value in values for part in shown.split("\n"))
    assert ("\n" in shown) is any(value in text for value in values)


async def test_a_reason_a_report_and_the_end_of_a_long_line_have_none(ctx: Context) -> None:
    await secrets.put(ctx, "notes", "dev", "KEY", b"hush-hush")
    build = await builds.request(ctx, "notes", "dev", "https://git.example/notes", "main")
    await builds.note(ctx, build.id, "command", "x" * ((16 << 10) - 4) + "hush-hush")
    await builds.reported(ctx, build.id, "1 failed", b"<testsuite>hush-hush \xff</testsuite>")
    await builds.failed(ctx, build.id, errors.Failed("curl -H hush-hush ended with 22."))
    async with ctx.store.read() as db:
        entries = await journal.after(db, Subject.BUILD, build.id, 0)
    assert "hush" not in "".join(entry.text for entry in entries)
    assert (await builds.report(ctx, build.id))[1] == b"<testsuite>[secret KEY] \xff</testsuite>"
    assert (await builds.find(ctx, build.id)).reason == "curl -H [secret KEY] ended with 22."


async def test_old_versions_and_other_environments_are_not_shown_in_a_build_log_either(ctx: Context) -> None:
    for environment, value in (("dev", b"the-first"), ("dev", b"the-second"), ("staging", b"elsewhere")):
        await secrets.put(ctx, "notes", environment, "KEY", value)
    build = await builds.request(ctx, "notes", "dev", "https://git.example/notes", "main")
    await builds.note(ctx, build.id, "command", "the-first the-second elsewhere and more")
    async with ctx.store.read() as db:
        entries = await journal.after(db, Subject.BUILD, build.id, 0)
    assert entries[-1].text == "[secret KEY] [secret KEY] [secret KEY] and more"
    assert (await redaction.of(ctx, "notes", "staging")).text("elsewhere") == "[secret KEY]"
