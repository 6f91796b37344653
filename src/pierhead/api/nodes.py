"""Nodes: the list, their labels, and emptying one before it is switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api.auth import Ctx
from pierhead.control import nodes
from pierhead.control.nodes import Node

router = APIRouter(tags=["nodes"])


class Drain(BaseModel):
    model_config = ConfigDict(extra="forbid")
    now: Annotated[bool, Field(description="Do not wait until others are ready elsewhere.")] = False


class Labels(BaseModel):
    model_config = ConfigDict(extra="forbid")
    labels: Annotated[Mapping[str, str], Field(description="Others stay; an empty value removes one.")]


@router.get("/nodes")
async def list_nodes(ctx: Ctx) -> Sequence[Node]:
    """The nodes of the swarm, how each is used, and how many instances it has."""
    return await nodes.listing(ctx)


@router.get("/nodes/{name}")
async def show_node(ctx: Ctx, name: str) -> Node:
    """By name or by the beginning of its id."""
    return await nodes.find(ctx, name)


@router.post("/nodes/{name}/drain")
async def drain_node(ctx: Ctx, name: str, how: Drain) -> Node:
    """Begins to empty the node: others are raised elsewhere, then its instances finish their requests and end."""
    return await nodes.drain(ctx, name, now=how.now)


@router.post("/nodes/{name}/activate")
async def activate_node(ctx: Ctx, name: str) -> Node:
    """The node takes instances again."""
    return await nodes.activate(ctx, name)


@router.post("/nodes/{name}/labels")
async def label_node(ctx: Ctx, name: str, wanted: Labels) -> Node:
    """The node has these labels too: apps and environments can ask for them."""
    return await nodes.label(ctx, name, wanted.labels)
