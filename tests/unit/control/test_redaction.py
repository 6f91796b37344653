"""What is shown of a secret: its name."""

from __future__ import annotations

from pierhead.control import builds, redaction, secrets
from pierhead.control.context import Context
from pierhead.control.redaction import redactor
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


async def test_old_versions_and_other_environments_are_not_shown_in_a_build_log_either(ctx: Context) -> None:
    for environment, value in (("dev", b"the-first"), ("dev", b"the-second"), ("staging", b"elsewhere")):
        await secrets.put(ctx, "notes", environment, "KEY", value)
    build = await builds.request(ctx, "notes", "dev", "https://git.example/notes", "main")
    await builds.note(ctx, build.id, "command", "the-first the-second elsewhere and more")
    async with ctx.store.read() as db:
        entries = await journal.after(db, Subject.BUILD, build.id, 0)
    assert entries[-1].text == "[secret KEY] [secret KEY] [secret KEY] and more"
    assert (await redaction.of(ctx, "notes", "staging")).text("elsewhere") == "[secret KEY]"
