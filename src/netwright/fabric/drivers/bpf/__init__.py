"""The two BPF programs of a leaf's host ports: assembled here, held by tc filters (ADR 26)."""
