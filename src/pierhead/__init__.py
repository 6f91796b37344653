"""Pierhead: a private container cloud for estates where containers and machines must find each other."""

__version__ = "0.1.0"
