"""What Pierhead talks about: frozen dataclasses and pure rules. No protocol, no I/O, no clock."""
