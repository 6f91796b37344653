"""Which records the view amounts to, and which of them answer a question. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pierhead.model.app import host_name
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.resolver import consul
from pierhead.resolver.resource import Answer, Resource
from pierhead.resolver.view import View

APP_TTL = 5
"""Seconds that others may keep the name of an app: it leads to gateways, which stay where they are."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What the names depend on besides the catalog."""

    domain: str = "localhost"
    answer: tuple[str, ...] = ()
    """Addresses that app names lead to; empty: those of the gateways in the catalog."""
    fallback: str = ""
    """The address that they lead to while no gateway is known."""
    own_address: str = ""
    """Where other servers reach this one, for the NS record of its zones."""


@dataclass(frozen=True, slots=True)
class Records:
    """Every name that is answered for."""

    naming: Naming
    view: View
    gateways: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    wildcards: frozenset[str] = frozenset()
    """`x.example` stands for every name below it."""
    between: frozenset[str] = frozenset()
    """Names that only have names below them: they exist and hold nothing."""
    is_known: bool = True
    """False until the catalog or the disk has told anything: then our own names are an error, not absent."""
    serial: int = field(default=1, compare=False)

    def find(self, name: str, kind: str) -> Answer | None:
        """The answer to a question; None: the name is not ours."""
        if name in self.hosts or self._wildcard(name):
            return self._gateway(name, kind)
        zone = next((zone for zone in (self.naming.domain, consul.ZONE) if _is_in(name, zone)), "")
        if not zone:
            return None
        return self._in_zone(name, kind, zone) if self.is_known else Answer("SERVFAIL")

    def _in_zone(self, name: str, kind: str, zone: str) -> Answer:
        if name == zone or name == f"ns.{zone}":
            return self._apex(name, kind, zone)
        if zone == consul.ZONE:
            return consul.find(self.view, name, kind, self.serial)
        code = "NOERROR" if name in self.between else "NXDOMAIN"
        return Answer(code, authority=(consul.authority(zone, self.serial, APP_TTL),))

    def _apex(self, name: str, kind: str, zone: str) -> Answer:
        soa = consul.authority(zone, self.serial, APP_TTL)
        own = self.naming.own_address
        if name == zone and kind == "SOA":
            return Answer(answers=(soa,))
        if name == zone and kind == "NS":
            glue = tuple(consul.addresses(f"ns.{zone}", "ANY", [own], APP_TTL)) if own else ()
            return Answer(answers=(Resource(zone, "NS", APP_TTL, f"ns.{zone}."),), additional=glue)
        held = [own] if own and name != zone else ["127.0.0.1", "::1"] if name == "localhost" else []
        found = tuple(consul.addresses(name, kind, held, APP_TTL))
        return Answer(answers=found, authority=() if found else (soa,))

    def _wildcard(self, name: str) -> bool:
        """A name anywhere below a wildcard. Nearer names do not hide it (unlike RFC 4592): gateways match alike."""
        return any(parent in self.wildcards for parent in _parents(name))

    def _gateway(self, name: str, kind: str) -> Answer:
        if not self.gateways:
            return Answer("SERVFAIL")
        found = tuple(consul.addresses(name, kind, self.gateways, APP_TTL))
        domain = self.naming.domain
        zone = domain if _is_in(name, domain) else name
        return Answer(answers=found, authority=() if found else (consul.authority(zone, self.serial, APP_TTL),))


def records(view: View, naming: Naming, serial: int = 1) -> Records:
    """The records of `view`. `serial` grows with every change."""
    names = {name.lower() for name in _names(view, naming.domain)}
    wildcards = {name.removeprefix("*.") for name in names if name.startswith("*.")}
    hosts = {name for name in names if not name.startswith("*.")}
    below = [*hosts, *(f"*.{name}" for name in wildcards)]
    between = {parent for name in below for parent in _parents(name)} - hosts
    gateways = tuple(_gateways(view, naming))
    return Records(naming, view, gateways, frozenset(hosts), frozenset(wildcards), frozenset(between), serial=serial)


def describe(found: Records) -> str:
    """One line per name, as a zone file would have it: what the unit tests expect and `pier dns --print` shows."""
    names = sorted([*found.hosts, *(f"*.{name}" for name in found.wildcards)])
    lines = [f"{name} {APP_TTL} A {address}" for name in names for address in found.gateways]
    for service in sorted(found.view.services):
        answer = consul.find(found.view, f"{service}.service.{consul.ZONE}", "SRV", 1)
        lines += [f"{record.name} {record.ttl} SRV {record.data}" for record in answer.answers]
    return "\n".join(lines)


def _names(view: View, domain: str) -> Iterator[str]:
    for route in view.routes.values():
        yield from route.hosts
    for found in view.services.values():
        for instance in found:
            if instance.app and instance.environment:
                yield host_name(instance.app, instance.environment, domain)


def _gateways(view: View, naming: Naming) -> Sequence[str]:
    """Where app names lead: what was set, else the gateways that answer, else all there are, else the fallback."""
    if naming.answer:
        return naming.answer
    known = [(consul.address(view, found), found.is_usable) for found in view.services.get(GATEWAY_SERVICE, ())]
    reachable = [(address, usable) for address, usable in known if _is_specific(address)]
    usable = [address for address, is_usable in reachable if is_usable]
    found = usable or [address for address, _ in reachable] or ([naming.fallback] if naming.fallback else [])
    return list(dict.fromkeys(found))


def _is_specific(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


def _is_in(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name
