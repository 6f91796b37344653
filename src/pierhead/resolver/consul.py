"""The names that Consul's own DNS has, with its answers. Pure. Source: Consul, DNS interface (observed on 1.8).

[tag.]NAME.service[.DC].consul   _NAME._TAG.service[.DC].consul   _NAME._tcp.service[.DC].consul
NODE.node[.DC].consul            HEX.addr.DC.consul
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from pierhead.resolver.resource import Answer, Resource
from pierhead.resolver.view import Instance, View

ZONE = "consul"
TTL = 1
"""Seconds: endpoints come and go."""
_KINDS = ("service", "node", "addr")
_PROTOCOLS = ("tcp", "udp")


def find(view: View, name: str, kind: str, serial: int) -> Answer:
    """The answer to a question for a name below `consul`."""
    labels = name.split(".")[:-1]
    if len(labels) > 1 and labels[-1] == view.datacenter.lower() and labels[-2] in _KINDS:
        labels = labels[:-1]
    if labels[-1:] == ["service"] and labels[:-1]:
        found = _service(view, name, labels[:-1], kind)
    elif labels[-1:] == ["node"] and labels[:-1]:
        found = _node(view, name, ".".join(labels[:-1]), kind)
    elif labels[-1:] == ["addr"] and len(labels) == 2:
        found = _addr(name, labels[0], kind)
    else:
        exists = len(labels) == 1 and labels[0] in (*_KINDS, view.datacenter.lower())
        found = Answer("NOERROR" if exists else "NXDOMAIN")
    return found if found.answers else Answer(found.code, authority=(authority(ZONE, serial, TTL),))


def authority(zone: str, serial: int, negative_ttl: int) -> Resource:
    """The SOA of `zone`; a negative answer may be kept for `negative_ttl` seconds (RFC 2308)."""
    return Resource(zone, "SOA", negative_ttl, f"ns.{zone}. hostmaster.{zone}. {serial} 3600 600 86400 {negative_ttl}")


def addresses(name: str, kind: str, held: Sequence[str], ttl: int) -> Iterator[Resource]:
    """The addresses of the kind that was asked for, each once."""
    for address in dict.fromkeys(held):
        if (found := _kind(address)) and kind in (found, "ANY"):
            yield Resource(name, found, ttl, address)


def address(view: View, instance: Instance) -> str:
    """Where the instance is reached: its own address, or else its node's."""
    return instance.address or view.nodes.get(instance.node, "")


def _service(view: View, name: str, labels: Sequence[str], kind: str) -> Answer:
    found = [instance for instance in _instances(view, labels) if instance.is_usable and address(view, instance)]
    if not found:
        return Answer("NXDOMAIN")
    if kind == "SRV":
        return _srv(view, name, found)
    named = [address(view, instance) for instance in found if not _kind(address(view, instance))]
    if named:
        return Answer(answers=(Resource(name, "CNAME", TTL, f"{named[0].rstrip('.')}."),))
    return Answer(answers=tuple(addresses(name, kind, [address(view, instance) for instance in found], TTL)))


def _instances(view: View, labels: Sequence[str]) -> Sequence[Instance]:
    """Those of the service, with the tag when one is named."""
    service, tag = labels[-1], ".".join(labels[:-1])
    if len(labels) == 2 and labels[0].startswith("_") and labels[1].startswith("_"):
        service, tag = labels[0][1:], labels[1][1:]
        tag = "" if tag in _PROTOCOLS else tag
    held = view.services.get(service) or _by_lower_case(view, service)
    return [found for found in held if not tag or tag in (known.lower() for known in found.tags)]


def _by_lower_case(view: View, service: str) -> Sequence[Instance]:
    """Names of services may have capitals; names in DNS have none."""
    return next((found for name, found in view.services.items() if name.lower() == service), ())


def _srv(view: View, name: str, found: Sequence[Instance]) -> Answer:
    records: list[Resource] = []
    additional: list[Resource] = []
    for instance in found:
        target = _target(view, instance)
        records.append(Resource(name, "SRV", TTL, f"1 1 {instance.port} {target}."))
        additional += addresses(target, "ANY", [address(view, instance)], TTL)
    return Answer(answers=tuple(dict.fromkeys(records)), additional=tuple(dict.fromkeys(additional)))


def _target(view: View, instance: Instance) -> str:
    if not instance.address:
        return f"{instance.node.lower()}.node.{view.datacenter}.{ZONE}"
    if not _kind(instance.address):
        return instance.address.rstrip(".")
    return f"{ipaddress.ip_address(instance.address).packed.hex()}.addr.{view.datacenter}.{ZONE}"


def _node(view: View, name: str, node: str, kind: str) -> Answer:
    held = next((found for known, found in view.nodes.items() if known.lower() == node), "")
    if not held:
        return Answer("NXDOMAIN")
    return Answer(answers=tuple(addresses(name, kind, [held], TTL)))


def _addr(name: str, text: str, kind: str) -> Answer:
    """The address that is written in the name itself."""
    try:
        packed = bytes.fromhex(text)
        held = str(ipaddress.ip_address(packed))
    except ValueError:
        return Answer("NXDOMAIN")
    return Answer(answers=tuple(addresses(name, kind, [held], TTL)))


def _kind(text: str) -> str:
    """`A`, `AAAA`, or nothing for what is no address."""
    try:
        return "A" if ipaddress.ip_address(text).version == 4 else "AAAA"
    except ValueError:
        return ""
