"""The embedded catalog: a server for the Consul HTTP API. `server.serving` starts it.

A request becomes a `request.Request`, is answered by a function of `endpoints/` from the tables of `state`, and what
it changed is on disk (`durable`) before the answer leaves. No endpoint awaits anything: it answers, or names what
must change before it is asked again (`reply.Watch`).
"""
