"""The control API over a Unix socket: server and client."""
