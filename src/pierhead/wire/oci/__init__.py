"""The OCI distribution API of a registry. Knows nothing of Pierhead. Source: OCI Distribution Specification 1.1."""
