"""DNS: messages, a server for UDP and TCP, and forwarding. Knows no names of its own."""
