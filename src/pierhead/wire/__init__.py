"""One client per protocol. Knows the protocol and nothing of Pierhead; siblings never import each other."""
