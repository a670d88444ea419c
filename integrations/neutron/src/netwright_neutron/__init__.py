"""Hands what a Neutron has to Netwright: an ML2 mechanism driver and an L3 service plugin.

    Neutron's API ─▶ plugin's transaction ─▶ marks (`journal`, in the same one): "look at this"
                                                 │ woken after the commit, or looked for each second
    what Neutron has (`reading`, `mapping`) ─┐   ▼
                                             ├─ plan (`planning`, pure) ─▶ `client` ─▶ Netwright
    what Netwright has (`client`) ───────────┘
    Netwright's watch ─▶ `watching` ─▶ `states` (pure) ─▶ provisioning block, port status

A mark says which resource to look at, not what was done to it: what is sent follows from what both
have at that moment, so a lost, doubled or overtaken mark does no harm. `sending.resync` makes marks
of what differs.

`kinds`, `mapping`, `planning` and `states` are pure, and import nothing of Neutron. Nothing here
imports anything of Netwright's: the two meet at its APIs.
"""
