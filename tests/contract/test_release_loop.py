"""What deployments say while the release loop cannot see the engine or the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.test_fencing import context
from tests.unit.control.releasing import released

from pierhead.control import deployments
from pierhead.kit import errors
from pierhead.model.app import Spec
from pierhead.model.release import DeploymentState
from pierhead.release import loop
from pierhead.store import journal, session
from pierhead.store.journal import Subject


async def test_a_deployment_waits_for_what_does_not_answer(tmp_path: Path) -> None:
    async with session.opened(tmp_path / "pier.db") as store:
        ctx = context(store, tmp_path, "server-1")
        deployment = await released(ctx, Spec("notes"))
        memory = loop.Memory(said={deployment.id: "wait notes-dev-v1: 0 of 1 ready"})
        async with ctx.catalog:
            for _ in range(2):
                with pytest.raises(errors.Unavailable):
                    await loop.look(ctx, memory)
        waiting = await deployments.find(ctx, deployment.id)
        assert waiting.state is DeploymentState.WAITING
        assert "127.0.0.1:9" in waiting.reason
        assert memory.said == {}
        async with ctx.store.read() as db:
            said = [one.text for one in await journal.after(db, Subject.DEPLOYMENT, deployment.id, 0)]
        assert said[1:] == [waiting.reason]
