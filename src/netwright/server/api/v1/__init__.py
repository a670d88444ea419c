"""The native API: hosts, reports, watch, and what is known of a port beyond its resource."""
