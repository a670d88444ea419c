"""Callers that keystone vouches for (Identity API v3): who they are, what roles they have (ADR 43).

A request names its token; `known` says at once whose it is, or `service` is asked, once for all
requests that show the same one meanwhile.
"""
