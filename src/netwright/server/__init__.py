"""The network service: APIs, decisions, store, watch.

A request is parsed at the edge (`api/`) into a *command* (`commands`), which the committer batches;
a pure *decision* (`networks`, `subnets`, `ports/`, `hosts`) turns it into changes from what the
batch has loaded; the `store` writes them with their events in one transaction; the reply follows.
"""
