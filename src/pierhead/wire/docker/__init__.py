"""The Docker Engine API over its socket. Knows nothing of Pierhead.

`client.Engine` is the connection; each other module is one noun of the API, its functions take the engine first and
answer with frozen dataclasses. Source: Docker Engine API v1.41 to v1.47.
"""
