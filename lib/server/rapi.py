"""ganeti-rapi: wires sockets, users, resources and the master's socket together."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence

from ganeti import constants, daemon, luxi, pathutils
from ganeti.http.auth import UsersFile
from ganeti.http.server import Access, Server
from ganeti.http.tls import TlsError, make_ssl_context
from ganeti.luxi.pool import Pool
from ganeti.server import listening, options
from ganeti.server.application import Application

MAX_CLIENTS = 2000


def own_names() -> set[str]:
    """What this machine may be called in the cluster's files."""
    given = os.environ.get("GANETI_HOSTNAME")
    if given:
        return {given}
    name = socket.gethostname()
    # Asking the resolver may take long; a name with a dot needs no asking.
    return {name} if "." in name else {name, socket.getfqdn()}


def check_master(paths: pathutils.Paths, *, socket_given: bool = False) -> None:
    """Raise ``DaemonError`` unless this machine is the master of a cluster.

    Without the cluster's files, a socket named by the administrator will do.
    """
    try:
        with open(paths.ssconf("master_node"), encoding="utf-8") as file:
            master = file.read().strip()
    except FileNotFoundError:
        if socket_given:
            return
        raise daemon.DaemonError(
            f"there is no cluster on this machine ({paths.ssconf('master_node')} is missing); "
            "create one with: ganeti-cluster init NAME",
            constants.EXIT_NODESETUP_ERROR) from None
    if master not in own_names():
        raise daemon.DaemonError(f"this is not the master, {master} is",
                                 constants.EXIT_NOTMASTER)


def log_refusal(access: Access) -> None:
    """Log what never became a request; the application logs its own."""
    if access.request is None:
        logging.info("%d - - peer=%s user=- request=- bytes=%d seconds=%.3f", access.status,
                     access.peer, access.size, access.seconds)


class RapiDaemon(daemon.Daemon):
    """The front: HTTP on one side, LUXI on the other."""

    name = "ganeti-rapi"

    def __init__(self, paths: pathutils.Paths, arguments: argparse.Namespace) -> None:
        self.paths = paths
        self.pid_file = paths.pid_file(self.name)
        self.log_file = paths.rapi_log
        self.user = paths.user(pathutils.RAPI_USER)
        self.group = pathutils.DAEMONS_GROUP
        self._arguments = arguments
        self._listener: socket.socket | None = None
        self._server: Server | None = None
        self._ssl_context: ssl.SSLContext | None = None
        self._pool = Pool(lambda: luxi.Client(arguments.luxi_socket or paths.query_socket))
        self._users = UsersFile(paths.users_files)
        self._clients = MAX_CLIENTS
        self._stopped = False

    def prepare(self) -> None:
        """Check that we are wanted here."""
        check_master(self.paths, socket_given=self._arguments.luxi_socket is not None)
        daemon.make_directories(self.paths)

    def bind(self) -> None:
        """Listen, read the key and raise the limit on open files: root may be needed."""
        arguments = self._arguments
        self._clients = listening.raise_descriptor_limit(arguments.max_clients)
        if self._clients < arguments.max_clients:
            logging.warning("The limit on open files leaves room for %d clients", self._clients)
        if not arguments.no_ssl:
            self._ssl_context = self._read_certificate()
        address = arguments.bind or (
            listening.interface_address(arguments.interface) if arguments.interface
            else listening.any_address(self.paths))
        self._listener = listening.listen(address, arguments.port)
        if listening.is_public(self._listener) and not arguments.require_authentication:
            logging.warning("Open to everybody who can reach %s: reading needs no password "
                            "(see --require-authentication and --bind)", address)

    def start(self) -> None:
        """Put the server together; the socket listens already."""
        assert self._listener is not None
        arguments = self._arguments
        application = Application(
            self._pool, self._users, require_authentication=arguments.require_authentication,
            like_2_0=arguments.compat == "2.0")
        self._server = Server([self._listener], application.handle, max_clients=self._clients,
                              ssl_context=self._ssl_context, access_log=log_refusal)
        host, port = self._listener.getsockname()[:2]
        logging.info("Serving %s on %s port %d", "HTTP" if arguments.no_ssl else "HTTPS", host,
                     port)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer requests until told to stop."""
        assert self._server is not None
        if not self._stopped:
            self._server.serve_forever()

    def stop(self) -> None:
        """Take no more connections, finish what has begun."""
        self._stopped = True
        if self._server is not None:
            self._server.stop()

    def wake(self, function: Callable[[], None]) -> None:
        """Have the loop call it; before there is one, nothing is in anybody's way."""
        if self._server is None:
            function()
        else:
            self._server.loop.call_threadsafe(function)

    def reload(self) -> None:
        """Take up a new certificate and new users; the old ones stay if they are broken."""
        self._users.reload()
        if self._server is not None and self._ssl_context is not None:
            try:
                self._server.set_ssl_context(self._read_certificate())
            except daemon.DaemonError as err:
                logging.error("Keeping the old certificate: %s", err)

    def finish(self) -> None:
        """Close what is open."""
        if self._listener is not None:
            self._listener.close()
        self._pool.close()

    def _read_certificate(self) -> ssl.SSLContext:
        certificate = self._arguments.ssl_cert or self.paths.rapi_cert
        try:
            return make_ssl_context(certificate, self._arguments.ssl_key)
        except TlsError as err:
            raise daemon.DaemonError(str(err)) from None


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; ends the process when it makes no sense."""
    parser = options.Parser(
        prog="ganeti-rapi", description="The remote API of a Ganeti cluster: JSON over HTTPS.")
    parser.add_argument("-p", "--port", type=options.port, default=listening.default_port(),
                        help="TCP port (default: the service ganeti-rapi, else "
                             f"{constants.DEFAULT_RAPI_PORT})")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-b", "--bind", metavar="ADDRESS",
                       help="IPv4 or IPv6 address to listen on (default: all)")
    where.add_argument("-i", "--interface", help="listen on this interface's address")
    parser.add_argument("--no-ssl", action="store_true", help="speak HTTP instead of HTTPS")
    parser.add_argument("-K", "--ssl-key", metavar="FILE",
                        help="private key (default: in the certificate's file)")
    parser.add_argument("-C", "--ssl-cert", metavar="FILE",
                        help="certificate (default: the cluster's rapi.pem)")
    parser.add_argument("--require-authentication", action="store_true",
                        help="ask for a password for reading, too")
    parser.add_argument("--compat", choices=("2.0",),
                        help="answer as the documentation of this version prints it, where "
                             "later clients expect something else")
    parser.add_argument("--max-clients", metavar="N", type=options.count,
                        default=MAX_CLIENTS,
                        help=f"connections at the same time (default: {MAX_CLIENTS})")
    parser.add_argument("--luxi-socket", metavar="PATH",
                        help="the master's socket (default: the cluster's)")
    options.add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; its exit code."""
    arguments = parse_arguments(argv)
    return daemon.run(RapiDaemon(pathutils.Paths.from_environment(), arguments),
                      options.read_arguments(arguments))


if __name__ == "__main__":
    sys.exit(main())
