"""What drivers of Linux switches share: netlink, namespaces, BPF; nothing here knows a fabric."""
