"""The edge: everything HTTP.

`v2` is the Networking API, `v1` the native one. A `Route` (`route`) says method, path, who may use
it, and what goes in and out; `edge` runs every one of them the same way: who asks, the handler, the
error's form, metrics, request id. `openapi` describes the same table.
"""
