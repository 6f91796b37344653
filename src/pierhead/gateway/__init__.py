"""The gateway: one HAProxy, driven by what the catalog says. The only writer of that HAProxy."""
