"""What must survive: apps, builds, releases, deployments, journal, tokens. The only place that knows SQL.

One module per noun; each function takes an open connection first, so that the caller decides what is one transaction.
"""
