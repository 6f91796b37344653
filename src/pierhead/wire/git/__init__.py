"""git, as a program that is run. Knows nothing of Pierhead."""
