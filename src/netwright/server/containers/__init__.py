"""Containers' ports that bear lasting names: claimed, moved, kept, let go. Pure but for `owners`.

`claiming` decides who gets a port, `slots` which number of many, `places` how far one may move,
`ending` what becomes of it when its container, its time or its owner is over (ADR 33).
"""
