"""What the catalog answers: one file per noun of the Consul HTTP API, joined by `routes`.

An endpoint is `(context, request, tail) -> Reply | Watch`, where `tail` is what follows its prefix in the path. It
reads and changes the state at once and awaits nothing; the server closes the change and waits for the disk.
"""
