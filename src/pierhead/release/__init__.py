"""Releases become engine services and routes, step by step, and go back by the same steps."""
