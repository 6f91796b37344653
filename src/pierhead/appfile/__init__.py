"""The app file `pier.yaml`: read, checked as a whole, and turned into the spec of one environment."""

from pierhead.appfile.file import AppFile, read

__all__ = ["AppFile", "read"]
