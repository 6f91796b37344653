"""Where a registry is, who we are there, and how it is told.

Source: OCI Distribution Specification 1.1, Authentication; distribution, `spec/auth` (tokens).
"""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from pierhead.kit import errors

HINT = "The settings registry.username and registry.password_file say who Pierhead is there."
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """Of HTTP's Basic scheme."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Access:
    """A registry at `address`: `host:port`, and a path where all of our images are below one."""

    address: str
    account: Account | None = None
    """None: nobody in particular."""
    ca_file: str = ""
    """The authorities (PEM) that its certificate is checked against; empty: those that this machine trusts."""

    @property
    def host(self) -> str:
        return self.address.partition("/")[0]

    @property
    def folder(self) -> str:
        """What the names of our repositories begin with: `team/`, or nothing."""
        path = self.address.partition("/")[2].strip("/")
        return f"{path}/" if path else ""

    @property
    def url(self) -> str:
        """Loopback is spoken to in plain HTTP unless an authority is named, everything else in HTTPS."""
        return f"{'http' if is_loopback(self.host) and not self.ca_file else 'https'}://{self.host}"

    def trust(self) -> ssl.SSLContext:
        """Raises: NotFound, Invalid (the file of authorities is none)."""
        if self.ca_file and not Path(self.ca_file).is_file():
            raise errors.NotFound(f"There is no file {self.ca_file} of the registry's authority.", hint=_CA_HINT)
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except ssl.SSLError as error:
            raise errors.Invalid(f"{self.ca_file} holds no certificate (PEM): {error.reason}", hint=_CA_HINT) from error


_CA_HINT = "The setting registry.ca_file names it."


class Entrance:
    """What the registry is shown with each request: the account itself, or tokens that it sends us for."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tokens: dict[tuple[str, bool], str] = {}

    def headers(self, repository: str, *, writes: bool) -> dict[str, str]:
        """The headers of a request for that repository."""
        if token := self._tokens.get((repository, writes)):
            return {"Authorization": f"Bearer {token}"}
        account = self._access.account
        return {"Authorization": account.header} if account else {}

    async def admitted(self, session: aiohttp.ClientSession, challenge: str, repository: str, *, writes: bool) -> bool:
        """A new token is there for what was refused with this challenge. False: there are no tokens here.

        Raises: Denied (whoever gives the tokens does not know the account).
        """
        scheme, _, said = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return False
        self._tokens[repository, writes] = await self._token(session, dict(_PARAMETER.findall(said)))
        return True

    async def _token(self, session: aiohttp.ClientSession, asked: dict[str, str]) -> str:
        account = self._access.account
        query = [("service", asked.get("service", ""))]
        query += [("scope", scope) for scope in asked.get("scope", "").split()]
        headers = {"Authorization": account.header} if account else {}
        url = URL(asked.get("realm", "")).update_query(query)
        async with session.get(url, headers=headers) as response:
            body: Any = await response.json(content_type=None) if response.status == 200 else {}
        token = str(body.get("token") or body.get("access_token") or "")
        if not token:
            who = f"the account {account.username}" if account else "somebody without an account"
            text = f"The registry at {self._access.address} lets {who} not in: {url.host} answered {response.status}."
            raise errors.Denied(text, hint=HINT)
        return token


def is_loopback(address: str) -> bool:
    return address.startswith(("127.", "localhost:", "[::1]"))
