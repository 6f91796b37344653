"""HAProxy's command line sockets: what is asked, and what the answers mean."""
