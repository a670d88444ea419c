"""Linux and FRR 8.4, as Cumulus-like switches run them: netlink, tc-BPF, the daemons' vty sockets.

reading:   observing (effects) ─▶ observed (values) ─▶ reading (pure) ─▶ SwitchConfig
applying:  changes ─▶ planning (pure) ─▶ operations (values) ─▶ carrying_out (effects)
"""
