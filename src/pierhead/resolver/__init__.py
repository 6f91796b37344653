"""Names: what the catalog knows, as DNS answers. Without the catalog, what it knew last."""
