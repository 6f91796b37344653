"""The public API, `/v1`: what the console, the command line and anybody else use. Holds no rules of its own."""
