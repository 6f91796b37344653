"""The status API of a gateway: plain HTTP and JSON at its admin address."""
