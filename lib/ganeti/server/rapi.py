"""ganeti-rapi: wires sockets, users, resources and the master's socket together."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ganeti import constants, daemon, errors, luxi, pathutils
from ganeti.daemon import handover, options, sd_notify
from ganeti.daemon.pid_file import running
from ganeti.http import revocation, tls
from ganeti.http.certificate import inspect
from ganeti.http.cors import Cors, is_origin
from ganeti.http.server import AccessLogEntry, Server
from ganeti.http.tls import TlsError, make_ssl_context
from ganeti.rapi import reference
from ganeti.rapi.auth.authenticator import Authenticator, UsersFile
from ganeti.rapi.auth.users import BrokenFile
from ganeti.rapi.permissions import VOCABULARY
from ganeti.server import listening
from ganeti.server.master_redirect import MasterRedirect, check_master
from ganeti.server.pipeline import RequestPipeline
from ganeti.utils.event_loop import READ, Loop, Timer
from ganeti.utils.text import describe_os_error

logger = logging.getLogger(__name__)

MAX_CLIENTS = 2000
#: Seconds until a successor must be ready.
HAND_OVER_TIMEOUT = 30.0
#: Seconds that the master has to answer at the start.
_MASTER_CHECK_TIMEOUT = 0.5
#: Options that name files.
_FILE_OPTIONS = (
    "ssl_cert",
    "ssl_key",
    "ssl_chain",
    "ssl_client_ca",
    "ssl_client_crl",
    "luxi_socket",
    "pid_file",
    "log_file",
)


def origin(text: str) -> str:
    """Return a valid origin of web pages; argparse's error message has this function's name."""
    if not is_origin(text):
        raise ValueError
    return text


class _Front(NamedTuple):
    """The parts that exist from the daemon's ``start`` to its ``finish``."""

    server: Server
    pool: luxi.ConnectionPool
    job_watcher: luxi.JobWatcher

    def end_job_waits(self) -> None:
        """Answer every request that waits for a job with its present state."""
        self.job_watcher.end()


class RapiDaemon(daemon.Daemon):
    """The front: HTTP on one side, LUXI on the other."""

    name = "ganeti-rapi"
    second_instance_hint = "; to run beside it, give --pid-file, --log-file and another --port"
    #: Names and end of the certificate that was read last, for a line of the log.
    _described_certificate = ""

    def __init__(self, paths: pathutils.Paths, arguments: argparse.Namespace) -> None:
        self.paths = paths
        self.user = paths.user(pathutils.RAPI_USER)
        self.group = pathutils.DAEMONS_GROUP
        self.options = options.read_arguments(arguments)
        self._arguments = arguments
        for name in _FILE_OPTIONS:  # detaching changes the directory
            if getattr(arguments, name):
                setattr(arguments, name, os.path.abspath(getattr(arguments, name)))
        self.pid_file = arguments.pid_file or paths.pid_file(self.name)
        self.log_file = arguments.log_file or paths.rapi_log
        self._working_directory = os.getcwd()
        # Before detaching, which changes our pid: the sockets are meant for this one.
        self._listeners = handover.take_sockets(os.environ)
        #: Started, and not ready yet.
        self._pending_successor: handover.Successor | None = None
        self._front: _Front | None = None
        self._ssl_context: ssl.SSLContext | None = None
        path = arguments.luxi_socket or paths.query_socket
        self._luxi_socket = path
        self._users = UsersFile(paths.users_files, VOCABULARY)
        self._max_clients = MAX_CLIENTS
        self._stopped = False
        self._deadline: Timer

    def check_role(self) -> None:
        """Check that this node serves the API, and that no other daemon uses our files."""
        if not self._arguments.redirect:
            check_master(self.paths, socket_given=self._arguments.luxi_socket is not None)
        self._check_log_of_second_instance()

    def _check_log_of_second_instance(self) -> None:
        """Raise ``DaemonError`` if a second ganeti-rapi would write to the first one's log."""
        usual = self.paths.pid_file(self.name)
        if self.pid_file == usual or self.log_file != self.paths.rapi_log:
            return
        pid = running(usual, self.name)
        if pid is not None:
            raise daemon.DaemonError(
                f"{self.name} runs already with pid {pid or 'unknown'} and writes to "
                f"{self.log_file}; to run beside it, give --log-file as well as --pid-file"
            )

    def prepare(self) -> None:
        """Make directories that a reboot has removed."""
        daemon.make_directories(self.paths)

    def bind(self) -> None:
        """Listen, read the key and raise the limit on open files, all of which may need root."""
        arguments = self._arguments
        self._max_clients = listening.raise_descriptor_limit(arguments.max_clients)
        if self._max_clients < arguments.max_clients:
            logger.warning("The limit on open files leaves room for %d clients", self._max_clients)
        if not arguments.no_ssl:
            self._ssl_context = self._read_certificate()
        if not self._listeners:
            self._listeners = [listening.listen(self._address(), arguments.port)]
        public = [sock for sock in self._listeners if listening.is_public(sock)]
        if public:
            self._check_exposure(public[0].getsockname()[0])

    def _check_exposure(self, address: str) -> None:
        """Warn about the risks of a public address; refuse to serve it as root."""
        arguments = self._arguments
        if daemon.stays_root(self.user) and not arguments.as_root and not self.paths.root:
            raise daemon.DaemonError(
                f"there is no user {self.user} to run as, and root does not listen on {address}: "
                f"make the user, bind to 127.0.0.1, or give --as-root"
            )
        if arguments.no_ssl:
            self.warn(
                f"without TLS on {address}: passwords go over the network in clear text (see "
                "--no-ssl and --bind)"
            )
        if not arguments.require_authentication:
            self.warn(
                f"open to everybody who can reach {address}: reading needs no password "
                "(see --require-authentication and --bind)"
            )

    def _address(self) -> str:
        arguments = self._arguments
        if arguments.bind:
            return str(arguments.bind)
        if arguments.interface:
            return listening.interface_address(arguments.interface)
        return listening.any_address(self.paths)

    def start(self) -> None:
        """Put the server together; the socket listens already."""
        arguments = self._arguments
        self._load_users()
        loop = Loop()
        connect = functools.partial(luxi.connect, self._luxi_socket)
        health = luxi.HealthMonitor(connect)
        job_watcher = luxi.JobWatcher(
            loop, connect, health, limit=listening.max_job_waits(self._max_clients)
        )
        pool = luxi.ConnectionPool(
            lambda: luxi.Client(self._luxi_socket, connect_timeout=health.timeout, health=health),
            wait_for_job=job_watcher.wait,
        )
        pipeline = RequestPipeline(
            pool,
            Authenticator(self._users),
            require_authentication=arguments.require_authentication,
            like_2_0=arguments.compat == "2.0",
            cors=Cors(arguments.cors_origin, secure=not arguments.no_ssl),
            redirect_if_not_master=self._master_redirect().check if arguments.redirect else None,
        )
        server = Server(
            self._listeners,
            pipeline.route,
            max_clients=self._max_clients,
            ssl_context=self._ssl_context,
            is_expected=pipeline.is_expected,
            loop=loop,
            access_log=(
                AccessLogEntry.log_as_json
                if arguments.log_format == "json"
                else AccessLogEntry.log_as_text
            ),
        )
        self._front = _Front(server, pool, job_watcher)
        for listener in self._listeners:
            logger.info(
                "Serving %s on %s",
                "HTTP" if arguments.no_ssl else "HTTPS",
                listening.describe(listener),
            )
        self._check_master_answers()
        self._check_reload_access()

    def _check_master_answers(self) -> None:
        """Warn if nobody listens on the master's socket; the master may start later."""
        path = self._luxi_socket
        try:
            luxi.connect(path, _MASTER_CHECK_TIMEOUT).close()
        except errors.NoPermission:
            self.warn(
                f"{self.user or 'this user'} may not connect to the master at {path}; "
                f"is it in the group {self.group}? (ganeti-cluster ensure-dirs sets owners)"
            )
        except errors.Error:
            self.warn(
                f"no master answers at {path}; until one does (ganeti-masterd, or Ganeti's "
                "luxid), most requests are answered with 502"
            )

    def _check_reload_access(self) -> None:
        """Warn about files that root has read, and that this user cannot read at a reload."""
        arguments = self._arguments
        if arguments.no_ssl:
            return
        certificate = arguments.ssl_cert or self.paths.rapi_cert
        for path in dict.fromkeys(
            (
                certificate,
                arguments.ssl_key,
                arguments.ssl_chain,
                arguments.ssl_client_ca,
                arguments.ssl_client_crl,
            )
        ):
            if path is not None and not os.access(path, os.R_OK):
                self.warn(
                    f"{self.user} cannot read {path}: every reload will keep the old "
                    f"certificate, and no hand-over succeed (chown {self.user} {path})"
                )

    def _master_redirect(self) -> MasterRedirect:
        scheme = "http" if self._arguments.no_ssl else "https"
        if not self.port:
            raise daemon.DaemonError("--redirect on a Unix socket: give the master's --port")
        return MasterRedirect(self.paths.ssconf("master_node"), f"{scheme}://{{}}:{self.port}")

    @property
    def port(self) -> int:
        """Return the TCP port that it listens on, or without one that of the command line."""
        return listening.tcp_port(self._listeners, self._arguments.port)

    def serve(self) -> None:
        """Answer requests until told to stop."""
        if self._front is not None and not self._stopped:
            self._front.server.serve_forever()

    def stop(self) -> None:
        """Accept no more connections, and finish the requests that have begun."""
        self._stopped = True
        if self._front is not None:
            self._front.end_job_waits()
            self._front.server.stop()

    def wake(self, function: Callable[[], None]) -> None:
        """Call a function on the loop's thread, or at once if there is no loop yet."""
        if self._front is None:
            function()
        else:
            self._front.server.loop.call_threadsafe(function)

    def reload(self) -> None:
        """Load the certificate and the users again; keep the old ones if the new are broken."""
        done = []
        count = self._users.reload()
        if count is not None:
            done.append("1 user" if count == 1 else f"{count} users")
        if self._front is not None and self._ssl_context is not None:
            try:
                self._front.server.set_ssl_context(self._read_certificate())
                done.append(f"certificate for {self._described_certificate}")
            except daemon.DaemonError as err:
                logger.error("Keeping the old certificate: %s", err)
        if done:
            logger.info("Reloaded: %s", "; ".join(done))

    def _load_users(self) -> None:
        """Read the users file; raises ``DaemonError`` if it cannot be used."""
        try:
            for complaint in self._users.load():
                self.warn(complaint)
        except BrokenFile as err:
            raise daemon.DaemonError(str(err)) from None

    def hand_over(self) -> None:
        """Start a successor on our sockets; stop when it is ready, go on if that fails."""
        front = self._front
        if front is None or self._pending_successor is not None or self._stopped:
            logger.warning("No hand-over now: this process is starting, or leaving already")
            return
        if daemon.must_stay(self.options) and not handover.can_follow():
            logger.error(
                "No hand-over: this process must stay, and this kernel does not let it "
                "wait for its successors"
            )
            return
        assert self.pid is not None
        try:
            self._pending_successor = handover.start(
                options.own_command(),
                self._working_directory,
                self._listeners,
                self.pid.fd,
                os.environ,
                keep_stderr=self.options.foreground,
            )
        except OSError as err:
            logger.error("Cannot start a successor: %s", err)
            return
        logger.info("Process %d will take over", self._pending_successor.pid)
        loop, successor = front.server.loop, self._pending_successor

        def on_report(_: int) -> None:
            self._finish_hand_over(front, successor, successor.problem)

        def on_timeout() -> None:
            text = f"it is not ready after {HAND_OVER_TIMEOUT:.0f} s"
            self._finish_hand_over(front, successor, lambda: text)

        loop.add(successor.ready_reader, READ, on_report)
        self._deadline = loop.call_later(HAND_OVER_TIMEOUT, on_timeout)

    def _finish_hand_over(
        self, front: _Front, successor: handover.Successor, problem: Callable[[], str]
    ) -> None:
        """Stop if the successor is ready, else go on.

        ``problem`` returns why it is not ready, '' if it is.
        """
        assert self.pid is not None
        self._deadline.cancel()
        front.server.loop.remove(successor.ready_reader)
        if self._stopped:
            return  # ``finish`` ends the successor as well: a stop is meant for both
        problem_text = problem()
        self._pending_successor = None
        if problem_text:
            successor.end()
            self.pid.write()  # the successor may have written its own pid before it failed
            logger.error("Going on, as the successor did not start: %s", problem_text)
            return
        logger.info("Process %d has taken over; finishing what has begun", successor.pid)
        self.successor = successor.pid
        sd_notify.main_pid(successor.pid)
        self._stopped = True
        front.end_job_waits()
        front.server.hand_over()

    def finish(self) -> None:
        """Close sockets and connections, and end a successor that was not ready yet."""
        if self._pending_successor is not None:
            logger.info("Ending process %d, which was to take over", self._pending_successor.pid)
            self._pending_successor.end()
            self._pending_successor = None
        front, self._front = self._front, None  # signals that come from now on stop nothing
        for listener in self._listeners:
            listener.close()
        if front is not None:
            front.pool.close()

    def _read_certificate(self) -> ssl.SSLContext:
        arguments = self._arguments
        certificate = arguments.ssl_cert or self.paths.rapi_cert
        try:
            context = make_ssl_context(
                certificate,
                arguments.ssl_key,
                chain=arguments.ssl_chain,
                client_ca=arguments.ssl_client_ca,
                client_crl=arguments.ssl_client_crl,
            )
            key = arguments.ssl_key or certificate
            if tls.is_exposed(key):
                logger.warning("Every user of this machine can read the key in %s", key)
            found = inspect(context, certificate)
            if found.problem and self._ssl_context is not None:
                raise TlsError(f"{certificate}: {found.problem}")
            # A certificate with a problem does not prevent the start: after a reboot a missing
            # API would be worse, and Ganeti's own daemon starts as well.
            now = datetime.datetime.now(datetime.timezone.utc)
            for text in [
                *found.warnings(self._known_names(), now),
                *self._crl_warnings(context, now),
            ]:
                logger.warning("%s", text)
            self._described_certificate = found.describe(now)
            if self._ssl_context is None:
                logger.info("The certificate is for %s", self._described_certificate)
            return context
        except TlsError as err:
            raise daemon.DaemonError(str(err)) from None

    def _crl_warnings(self, context: ssl.SSLContext, now: datetime.datetime) -> list[str]:
        """Return warnings about revocation lists because of which clients are refused."""
        paths = [
            path
            for path in (self._arguments.ssl_client_ca, self._arguments.ssl_client_crl)
            if path is not None
        ]
        try:
            return revocation.warnings(context, revocation.read(paths), now)
        except OSError:  # the files vanished after the context had read them
            return []

    def _known_names(self) -> set[str]:
        """Return the names that clients may reach this daemon by; no resolver is asked."""
        hosts = {socket.gethostname(), self._arguments.bind or ""}
        for key in ("cluster_name", "master_node"):
            with (
                contextlib.suppress(OSError),
                open(self.paths.ssconf(key), encoding="utf-8", errors="replace") as file,
            ):
                hosts.add(file.read().strip())
        return hosts - {"0.0.0.0", "::"}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments; exits if they make no sense."""
    parser = options.Parser(
        prog="ganeti-rapi", description="The remote API of a Ganeti cluster: JSON over HTTPS."
    )
    _add_address_options(parser)
    _add_tls_options(parser)
    _add_api_options(parser)
    _add_process_options(parser)
    options.add_arguments(parser)
    arguments = parser.parse_args(argv)
    _check_options(parser, arguments)
    return arguments


def _add_address_options(parser: options.Parser) -> None:
    """Add the options about the address that the daemon listens on."""
    parser.add_argument(
        "-p",
        "--port",
        type=options.port,
        default=listening.default_port(),
        help=f"TCP port (default: the service ganeti-rapi, else {constants.DEFAULT_RAPI_PORT})",
    )
    address = parser.add_mutually_exclusive_group()
    address.add_argument(
        "-b", "--bind", metavar="ADDRESS", help="IPv4 or IPv6 address to listen on (default: all)"
    )
    address.add_argument("-i", "--interface", help="listen on this interface's address")


def _add_tls_options(parser: options.Parser) -> None:
    """Add the options about TLS, certificates and keys."""
    parser.add_argument("--no-ssl", action="store_true", help="speak HTTP instead of HTTPS")
    parser.add_argument(
        "-K", "--ssl-key", metavar="FILE", help="private key (default: in the certificate's file)"
    )
    parser.add_argument(
        "--ssl-chain", metavar="FILE", help="certificates that lead from ours to its authority"
    )
    parser.add_argument(
        "--ssl-client-ca",
        metavar="FILE",
        help="authorities of clients' certificates, which name users",
    )
    parser.add_argument(
        "--ssl-client-crl",
        metavar="FILE",
        help="clients' certificates that are revoked (CRLs; they may be in the "
        "file of --ssl-client-ca, too)",
    )
    parser.add_argument(
        "-C", "--ssl-cert", metavar="FILE", help="certificate (default: the cluster's rapi.pem)"
    )


def _add_api_options(parser: options.Parser) -> None:
    """Add the options about clients and the form of answers."""
    parser.add_argument(
        "--require-authentication", action="store_true", help="ask for a password for reading, too"
    )
    parser.add_argument(
        "--compat",
        choices=("2.0",),
        help="answer as the documentation of this version prints it, where "
        "later clients expect something else",
    )
    parser.add_argument(
        "--cors-origin",
        metavar="ORIGIN",
        type=origin,
        action="append",
        default=[],
        help="let web pages of this origin (https://host[:port], or "
        "* for all) use the API; may be repeated",
    )
    parser.add_argument(
        "--max-clients",
        metavar="N",
        type=options.count,
        default=MAX_CLIENTS,
        help=f"connections at the same time (default: {MAX_CLIENTS})",
    )


def _add_process_options(parser: options.Parser) -> None:
    """Add the options about the master's socket, the process's files and its user."""
    parser.add_argument(
        "--luxi-socket", metavar="PATH", help="the master's socket (default: the cluster's)"
    )
    parser.add_argument(
        "--redirect",
        action="store_true",
        help="run on a node that is not the master, too, and send clients to the master",
    )
    parser.add_argument(
        "--pid-file",
        metavar="FILE",
        help="pid file (default: the cluster's); to run beside another "
        "ganeti-rapi, with --log-file and another --port",
    )
    parser.add_argument(
        "--as-root",
        action="store_true",
        help="serve a public address as root where there is no user to run as",
    )
    parser.add_argument(
        "--routes",
        action="store_true",
        help="print path, verb, right and opcode of every resource, and exit",
    )
    parser.add_argument("--log-file", metavar="FILE", help="log (default: the cluster's)")


def _check_options(parser: options.Parser, arguments: argparse.Namespace) -> None:
    """Exit if options would have no effect, or not the intended one."""
    for name in (*_FILE_OPTIONS, "bind", "interface"):
        if getattr(arguments, name) == "":
            # A script's variable was not set, and the default may be what it meant to avoid.
            parser.error(f"argument --{name.replace('_', '-')}: its value is empty")
    if arguments.no_ssl:
        # Ganeti's own --ssl-key and --ssl-cert are accepted, as its daemon ignores them, too.
        for name in ("ssl_chain", "ssl_client_ca", "ssl_client_crl"):
            if getattr(arguments, name) is not None:
                parser.error(
                    f"--{name.replace('_', '-')} has no effect with --no-ssl; leave one of them out"
                )
    if arguments.ssl_client_crl is not None and arguments.ssl_client_ca is None:
        parser.error("--ssl-client-crl needs --ssl-client-ca")


def _print_routes() -> None:
    try:
        print(reference.routes(), flush=True)
    except BrokenPipeError:
        # The reader, head(1) say, has seen enough. Nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    arguments = parse_arguments(argv)
    if arguments.routes:
        _print_routes()
        return constants.EXIT_SUCCESS
    try:
        front = RapiDaemon(pathutils.Paths.from_environment(), arguments)
    except OSError as err:
        print(f"{RapiDaemon.name}: {describe_os_error(err)}", file=sys.stderr)
        return constants.EXIT_FAILURE
    return options.run(front, arguments)


if __name__ == "__main__":
    sys.exit(main())
