"""Containers of this host: what their runtime asks for by CNI, asked at the agent's socket."""
