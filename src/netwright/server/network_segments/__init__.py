"""A network's segments: made, changed, taken away; which hosts and subnets are on which.

A network's own is made and gone with it (`server.segments` chooses it); further ones are VLANs, or
flat, on other physical networks (`docs/adr/0054`).
"""
