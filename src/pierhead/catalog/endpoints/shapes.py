"""The bodies that the endpoints accept. Names that newer Consul versions added are known and left unused."""

from __future__ import annotations

from pierhead.catalog.decode import DURATION, Fields, ListOf, MapOf

CHECK_TYPE = {
    "CheckID": str,
    "ID": str,
    "Name": str,
    "Status": str,
    "Notes": str,
    "ScriptArgs": ListOf(str),
    "Args": ListOf(str),
    "HTTP": str,
    "H2PING": str,
    "H2PingUseTLS": bool,
    "Header": MapOf(ListOf(str)),
    "Method": str,
    "Body": str,
    "DisableRedirects": bool,
    "TCP": str,
    "TCPUseTLS": bool,
    "UDP": str,
    "OSService": str,
    "Interval": DURATION,
    "AliasNode": str,
    "AliasService": str,
    "DockerContainerID": str,
    "Shell": str,
    "GRPC": str,
    "GRPCUseTLS": bool,
    "TLSServerName": str,
    "TLSSkipVerify": bool,
    "Timeout": DURATION,
    "TTL": DURATION,
    "SuccessBeforePassing": int,
    "FailuresBeforeCritical": int,
    "FailuresBeforeWarning": int,
    "ProxyHTTP": str,
    "ProxyGRPC": str,
    "DeregisterCriticalServiceAfter": DURATION,
    "OutputMaxSize": int,
    "Namespace": str,
    "Partition": str,
}

_TAGGED = MapOf(Fields({"Address": str, "Port": int}))
_WEIGHTS = Fields({"Passing": int, "Warning": int})
_NEWER = {"Namespace": str, "Partition": str, "PeerName": str, "Locality": object, "Ports": object, "SocketPath": str}

AGENT_CHECK = Fields({**CHECK_TYPE, "ServiceID": str, "Token": str})

AGENT_SERVICE = Fields(
    {
        "Kind": str,
        "ID": str,
        "Name": str,
        "Tags": ListOf(str),
        "Address": str,
        "TaggedAddresses": _TAGGED,
        "Meta": MapOf(str),
        "Port": int,
        "Check": Fields(CHECK_TYPE),
        "Checks": ListOf(Fields(CHECK_TYPE)),
        "Weights": _WEIGHTS,
        "Token": str,
        "EnableTagOverride": bool,
        "Proxy": object,
        "Connect": object,
        **_NEWER,
    }
)

CHECK_UPDATE = Fields({"Status": str, "Output": str})

_CATALOG_SERVICE = Fields(
    {
        "Kind": str,
        "ID": str,
        "Service": str,
        "Tags": ListOf(str),
        "Address": str,
        "TaggedAddresses": _TAGGED,
        "Meta": MapOf(str),
        "Port": int,
        "Weights": _WEIGHTS,
        "EnableTagOverride": bool,
        "Proxy": object,
        "Connect": object,
        "CreateIndex": int,
        "ModifyIndex": int,
        **_NEWER,
    }
)

CHECK_DEFINITION = Fields(
    {
        **{name: kind for name, kind in CHECK_TYPE.items() if name not in ("CheckID", "ID", "Name", "Status", "Notes")},
        **{f"{name}Duration": DURATION for name in ("Interval", "Timeout", "DeregisterCriticalServiceAfter")},
    }
)

_CATALOG_CHECK = Fields(
    {
        "Node": str,
        "CheckID": str,
        "Name": str,
        "Status": str,
        "Notes": str,
        "Output": str,
        "ServiceID": str,
        "ServiceName": str,
        "ServiceTags": ListOf(str),
        "Type": str,
        "Interval": object,
        "Timeout": object,
        "ExposedPort": int,
        "Definition": CHECK_DEFINITION,
        "CreateIndex": int,
        "ModifyIndex": int,
        **_NEWER,
    }
)

_WRITE_REQUEST = {"Datacenter": str, "Token": str, "WriteRequest": object, **_NEWER}

CATALOG_REGISTER = Fields(
    {
        "ID": str,
        "Node": str,
        "Address": str,
        "TaggedAddresses": MapOf(str),
        "NodeMeta": MapOf(str),
        "Service": _CATALOG_SERVICE,
        "Check": _CATALOG_CHECK,
        "Checks": ListOf(_CATALOG_CHECK),
        "SkipNodeUpdate": bool,
        **_WRITE_REQUEST,
    }
)

CATALOG_DEREGISTER = Fields({"Node": str, "Address": str, "ServiceID": str, "CheckID": str, **_WRITE_REQUEST})

SESSION = Fields(
    {
        "ID": str,
        "Name": str,
        "Node": str,
        "Checks": ListOf(str),
        "NodeChecks": ListOf(str),
        "ServiceChecks": ListOf(Fields({"ID": str, "Namespace": str})),
        "LockDelay": object,
        "Behavior": str,
        "TTL": str,
    },
    is_strict=False,
)

_TXN_NODE = Fields(
    {
        "ID": str,
        "Node": str,
        "Address": str,
        "Datacenter": str,
        "TaggedAddresses": MapOf(str),
        "Meta": MapOf(str),
        "CreateIndex": int,
        "ModifyIndex": int,
        **_NEWER,
    }
)

TXN = Fields(
    {
        "KV": Fields(
            {
                "Verb": str,
                "Key": str,
                "Value": str,
                "Flags": int,
                "Index": int,
                "Session": str,
                "Namespace": str,
                "Partition": str,
            }
        ),
        "Node": Fields({"Verb": str, "Node": _TXN_NODE}),
        "Service": Fields({"Verb": str, "Node": str, "Service": _CATALOG_SERVICE}),
        "Check": Fields({"Verb": str, "Check": _CATALOG_CHECK}),
    }
)
