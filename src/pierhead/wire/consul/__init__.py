"""The one client of the Consul HTTP API: the embedded catalog and a real Consul answer it alike. Knows no Pierhead.

`async with client.Consul(url, token) as consul:` and then the functions of the modules, each taking the client first:

    agent    register deregister services service checks register_check deregister_check update_check maintenance
             node_maintenance self_
    catalog  services service nodes register deregister
    health   service state checks node
    kv       get get_tree keys put delete
    session  create destroy renew info sessions
    status   leader peers

What can block takes `index` and `wait` and returns `(value, index)`: pass the index back to wait for the next change.
"""
