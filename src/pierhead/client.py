"""The client of the public API: what the command line uses, and anybody may."""
