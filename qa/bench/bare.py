#!/usr/bin/env python3
"""The reference for servers: one loop over TLS sockets that sends prepared bytes.

    bare.py CERTIFICATE BODY_BYTES

Every client gets the same answer as soon as an empty line has arrived. Requests are not parsed,
nothing is logged, no password is checked. Prints its port.
"""

import select
import socket
import ssl
import sys


def shake_hands(poll, connection):
    """Return whether the handshake is done; otherwise it continues when more bytes arrive."""
    try:
        connection.do_handshake()
        return True
    except ssl.SSLWantReadError:
        poll.modify(connection, select.EPOLLIN)
    except ssl.SSLWantWriteError:
        poll.modify(connection, select.EPOLLOUT)
    return False


def serve(listener, context, answer):
    """Serve until killed."""
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    young, all_of_them = set(), {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                plain, _ = listener.accept()
                plain.setblocking(False)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = context.wrap_socket(
                    plain, server_side=True, do_handshake_on_connect=False
                )
                all_of_them[connection.fileno()] = connection
                young.add(connection.fileno())
                poll.register(connection, select.EPOLLIN)
                continue
            connection = all_of_them[number]
            try:
                if number in young:
                    if not shake_hands(poll, connection):
                        continue
                    young.discard(number)
                    poll.modify(connection, select.EPOLLIN)
                while data := connection.recv(65536):
                    if data.endswith(b"\r\n\r\n"):
                        connection.send(answer)
            except ssl.SSLWantReadError:
                continue
            except OSError:
                pass
            young.discard(number)
            poll.unregister(connection)
            del all_of_them[number]
            connection.close()


def main():
    certificate, size = sys.argv[1], int(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.num_tickets = 0
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    serve(
        listener,
        context,
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % size + b"x" * size,
    )


if __name__ == "__main__":
    main()
