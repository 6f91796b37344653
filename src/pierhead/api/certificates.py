"""Certificates that every gateway serves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api.auth import Ctx
from pierhead.control import certificates
from pierhead.control.certificates import Listed

router = APIRouter(tags=["certificates"])


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")
    chain_pem: Annotated[str, Field(description="The certificate, then those that vouch for it, as PEM.")]
    key_pem: Annotated[str, Field(description="Its private key as PEM, without a passphrase. Never shown again.")]


@router.get("/certificates")
async def list_certificates(ctx: Ctx) -> list[Listed]:
    """Names, host names and ends. Keys are never shown."""
    return list(await certificates.listing(ctx))


@router.put("/certificates/{name}")
async def put_certificate(ctx: Ctx, name: str, given: Given) -> Listed:
    """Adds a certificate, or puts it in the place of an older one; gateways serve it at once."""
    return await certificates.put(ctx, name, given.chain_pem, given.key_pem)


@router.delete("/certificates/{name}", status_code=204)
async def remove_certificate(ctx: Ctx, name: str) -> None:
    await certificates.remove(ctx, name)
