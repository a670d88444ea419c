"""Floating IPs. Pure.

`decisions` decides about them, `holding` has the ports that hold outer addresses, of routers'
gateways too, `known` which of them ports and routers have.
"""
