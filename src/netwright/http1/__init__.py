"""HTTP/1.1 (RFC 9112) over asyncio's transports: listener, connections, exchanges."""
