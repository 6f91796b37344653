"""How the settings say that the catalog is reached. Apart from the catalog's own server, which few processes need."""

from __future__ import annotations

from pierhead.settings import Settings
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.tls import Tls


def client(settings: Settings) -> Consul:
    """The client of the catalog that these settings name, with their token."""
    return Consul(settings.catalog_url, settings.catalog.token, tls=tls(settings))


def tls(settings: Settings) -> Tls:
    """How these settings say that an https catalog is known."""
    told = settings.catalog
    return Tls(told.ca_file, told.cert_file, told.key_file, told.tls_name)
