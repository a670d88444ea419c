"""Trunks. Pure.

`decisions` decides what is asked, `following` has subports bound where their parent is, and says
how a trunk stands.
"""
