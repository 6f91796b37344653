"""The real parts that tests and measurements run against. Nothing of Pierhead itself imports this."""
