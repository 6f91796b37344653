"""What people and loops can ask for: one function per use case, each one transaction."""
