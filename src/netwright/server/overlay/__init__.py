"""What the server decides of fabric networks above the leaf: VLANs, VNIs, attachments, links.

The switches themselves are the fabric controller's (ADR 21).
"""
