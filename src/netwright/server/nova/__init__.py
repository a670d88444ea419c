"""Nova's side: what it is told of ports (`notices`), and how that reaches it.

commit, with its notices ──▶ sender ──▶ endpoint ──▶ POST /os-server-external-events
                               ▲  └── store.outbox: due ones, and what became of them
                     timer, other processes' leftovers      (`answers` decides, pure)
"""
