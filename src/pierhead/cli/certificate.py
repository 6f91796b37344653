"""`pier certificate`: what gateways show who asks for a name over HTTPS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from pierhead.cli import console, keys, session
from pierhead.kit import errors

app = typer.Typer(help="Add, list and remove certificates.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The certificate's name, such as its host name.")]
Chain = Annotated[Path, typer.Option("--chain", help="PEM file: the certificate, then those that vouch for it.")]
Key = Annotated[
    Path | None, typer.Option("--key", help="PEM file of the private key. Default: it is in the chain's file.")
]


@app.command("add")
@console.exits
async def add(name: Name, chain: Chain, key: Key = None, as_json: console.Json = False) -> None:
    """Add a certificate, or replace the one of that name. Every gateway serves it at once."""
    body = {"chain_pem": _text(chain), "key_pem": _text(key or chain)}
    async with session.connected() as api:
        held = await api.put(f"/certificates/{quote(name, safe='')}", body)
    console.emit(held if as_json else f"{name} is for {', '.join(held['names'])} until {held['ends_at']}.", as_json)


@app.command("list")
@console.exits
async def list_(as_json: console.Json = False) -> None:
    """List certificates with their host names and when they end."""
    async with session.connected() as api:
        found = await api.get("/certificates")
    if not as_json:
        found = [one | {"names": ", ".join(one["names"])} for one in found]
    console.emit(found, as_json)


@app.command("remove")
@console.exits
async def remove(name: Name, as_json: console.Json = False) -> None:
    """Remove a certificate; its names are answered with the default one."""
    async with session.connected() as api:
        await api.delete(f"/certificates/{quote(name, safe='')}")
    console.emit({"removed": name} if as_json else f"{name} is removed.", as_json)


@app.command("rotate-key")
@console.exits
async def rotate_key(
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make the new key, for gateways to have.")] = False,
    as_json: console.Json = False,
) -> None:
    """Replace the key that certificates are sealed with. First --prepare, so that gateways can open what comes."""
    async with session.connected() as api:
        key = await (
            api.post("/keys/certificates/coming") if prepare else keys.rotated(api, "certificates", quiet=as_json)
        )
    if prepare:
        text = (
            f"The coming key is {key['coming_id']}: copy the server's gateway.key to every gateway on another machine, "
        )
        text += "then run `pier certificate rotate-key`."
    else:
        text = f"Every certificate is sealed with the key {key['id']}."
    console.emit(key if as_json else text, as_json)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"{path} cannot be read: {error}.") from error
