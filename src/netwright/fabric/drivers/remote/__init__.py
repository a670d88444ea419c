"""Switches at the other end of an ssh connection, which runs our own program there (ADR 31).

    controller                                        switch
    RemoteDriver ─ Connection ─ ssh ═ netwright switch serve ─ Service ─ its own driver
                    calls, beats ────▶                 │            └ Turns: who may write now
                                 ◀──── answers, changes

Both ends speak `protocol`. The switch decides nothing: it is told changes, and tells what it is.
"""
