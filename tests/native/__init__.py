"""What only the native server can show, over real sockets and with real signals."""
