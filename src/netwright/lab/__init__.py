"""A data center in network namespaces, on one machine, with real Open vSwitch.

    spec ─▶ layout ─▶ up ─▶ running          `tree` says why there is never a loop
                       │      ├ faults        break and mend links, NICs, processes
                       │      ├ instances     plays the orchestrator: makes and plugs machines
                       │      ├ services      Netwright's own server and agents
                       │      ├ probe         pings, captures, TCP: does it work?
                       │      └ status, places
                       └ nodes/  netns  links  processes  state
    down ◀── a name is enough

`spec`, `tree` and `layout` are pure. The rest blocks and is called from threads; each action takes
a `Lab` and plain values, so that tests, the demo and the command line use the same functions.
"""
