"""HTTP/1.1 for the front: bytes, sockets, users; knows nothing of Ganeti."""
