"""The channel between a node and the server: many streams on one WebSocket that the node has opened.

`frames`, `greeting`, `mux` and `terminal` are pure; `link` joins them to a connection. docs/reference/channel.md.
"""
