"""What clients of DHCP are answered on the host: from their own port's data, and nobody else's."""
