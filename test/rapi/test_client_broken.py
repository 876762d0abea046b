"""The client against misbehaving servers: one kind of exception, in time, without the password."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
import traceback
import unittest
from unittest import mock

from ganeti.rapi import client as client_module
from ganeti.rapi.client import ApiError, GanetiClient, JobError, NoAnswer
from support.http import certificate

PASSWORD = "hunter2 & co"
#: Forms of the password that a hostile server may send back.
LEAK = b'hunter2 & co hunter2%20%26%20co hunter2+%26+co YWRtaW46aHVudGVyMiAmIGNv"'
SHOWN = ("hunter2", "YWRtaW46")
#: Seconds that a client waits for a stalled server, and in which all other calls must end.
STALL, LIMIT = 0.3, 30.0
OK = b"HTTP/1.1 200 OK\r\n"


def answer(value, status=b"200 OK", head=b""):
    """Return a complete response with JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, head, len(body), body)


def closed(body, head=b""):
    """Return a response that ends with the connection."""
    return OK + head + b"\r\n" + body


def chunked(*chunks):
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


#: Behaviour -> bytes that are sent before the connection is closed, or a function of the socket.
BROKEN = {
    "nothing": b"",
    "another protocol": b"SSH-2.0-OpenSSH_9.2 " + LEAK + b"\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "no status line": b'{"name": "x"}',
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n{}",
    "a status of two digits": b"HTTP/1.1 99 " + LEAK + b"\r\n\r\n{}",
    "a status that is no number": b"HTTP/1.1 abc " + LEAK + b"\r\n\r\n{}",
    "a status beyond 599": answer({}, b"600 " + LEAK),
    "half a head": OK + b"Content-Le",
    "a header line of 70 kB": OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n{}",
    "200 headers": OK + b"X: " + LEAK + b"\r\n" + b"X: y\r\n" * 200 + b"\r\n{}",
    "a cut body": OK + b'Content-Length: 100\r\n\r\n{"a":',
    "a cut body that is whole JSON": OK + b"Content-Length: 100\r\n\r\n{}",
    "no length of a cut body": closed(b'{"name": "' + LEAK),
    "a negative length": closed(b"{}", b"Content-Length: -2\r\n"),
    "two lengths": closed(b"{}", b"Content-Length: 2\r\nContent-Length: 3\r\n"),
    "a length that is no number": closed(b"{}", b"Content-Length: 0x2\r\n"),
    "a length of 5,000 digits": closed(b"{}", b"Content-Length: " + b"9" * 5000 + b"\r\n"),
    "a list that breaks off": chunked(b"2\r\n[{\r\n"),
    "a chunk that breaks off": chunked(b"ff\r\n{}"),
    "no last chunk": chunked(b"2\r\n{}\r\n"),
    "a chunk without size": chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk of negative size": chunked(b"-5\r\n{}\r\n0\r\n\r\n"),
    "a chunk size of 70 kB": chunked(b"1" * 70_000 + b"\r\n{}"),
    "an unknown coding": closed(b"{}", b"Transfer-Encoding: gzip, chunked\r\n"),
    "compressed junk": closed(b"\x1f\x8b" + LEAK, b"Content-Encoding: gzip\r\n"),
    "an interim answer for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
    "twelve interim answers": b"HTTP/1.1 103 Hints\r\n\r\n" * 12 + answer({}),
    "another protocol from now on": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x00",
    "a redirect": answer({}, b"301 Moved", b"Location: http://admin:" + LEAK + b"@h/\r\n"),
    "a redirect to itself": answer({}, b"307 Moved", b"Location: /2/info\r\n"),
    "a choice": answer({}, b"300 Choices"),
    "nothing new": answer(b"", b"304 Not Modified"),
    "no content": answer(b"", b"204 No Content"),
    "an empty body": answer(b""),
    "HTML": answer(b"<html>" + LEAK),
    "two values": answer(b"{}{}"),
    "a byte order mark": answer(b"\xef\xbb\xbf{}"),
    "UTF-16": answer(json.dumps({}).encode("utf-16")),
    "bytes that are no text": answer(b'{"a": "\xff"}'),
    "NaN": answer(b'{"a": NaN}'),
    "infinity": answer(b'{"a": -Infinity}'),
    "a number beyond all": answer(b'{"a": 1e999}'),
    "a number of 5,000 digits": answer(b'{"a": ' + b"9" * 5000 + b"}"),
    "a very deep list": answer(b"[" * 200_000),
    "null": answer(None),
    "a list": answer([]),
    "a text": answer(PASSWORD),
    "a number": answer(1.5),
    "a 404 of somebody else": answer(b"<h1>" + LEAK, b"404 " + LEAK),
    "a cut 404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\n" + b'{"code": 404',
    "an error without words": answer({"code": 500}, b"500 Internal Server Error"),
    "an error whose words are a list": answer({"message": [1]}, b"502 Bad Gateway"),
}


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def for_ever(*parts, pause=None):
    """Return a function that sends the last part until the client leaves."""

    def serve(sock):
        wait = threading.Event()
        for part in parts[:-1]:
            sock.sendall(part)
        while True:
            sock.sendall(parts[-1])
            if pause is not None:
                wait.wait(pause)

    return serve


def silence(sock):
    sock.recv(1)  # until the client closes


BROKEN["a reset"] = reset
#: Likewise, for servers that a client must not wait for.
ENDLESS = {
    "silence": silence,
    "a head by bytes": for_ever(OK + b"X: ", b"x", pause=0.01),
    "a body by bytes": for_ever(OK + b"Content-Length: 100000\r\n\r\n[", b" ", pause=0.01),
    "chunks by bytes": for_ever(chunked(), b"1\r\n \r\n", pause=0.01),
    "half a body, and silence": lambda sock: (
        sock.sendall(OK + b"Content-Length: 9\r\n\r\n{"),
        silence(sock),
    ),
    "an endless head": for_ever(OK, b"X: " + b"x" * 1000 + b"\r\n"),
    "an endless body": for_ever(OK + b"\r\n", b" " * 10_000),
    "endless chunks": for_ever(chunked(), b"3e8\r\n" + b" " * 1000 + b"\r\n"),
    "endless trailers": for_ever(chunked(b"2\r\n{}\r\n0\r\n"), b"X: y\r\n" * 1000),
}


class BrokenServer:
    """Server that follows a plan for each connection; the last plan is repeated."""

    def __init__(self, *plans):
        self.plans = list(plans)
        self.requests = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            sock, _ = self._listener.accept()
            with sock, contextlib.suppress(OSError):
                if not self._read(sock):
                    return
                plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
                plan(sock) if callable(plan) else sock.sendall(plan)

    def _read(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                return False
            head += data
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        while len(body) < int(headers.get("content-length", 0)):
            body += sock.recv(65536)
        self.requests.append((lines[0].split(" ")[0], headers.get("idempotency-key")))
        return True

    def close(self):
        with socket.create_connection(self._listener.getsockname()[:2]):
            pass  # a connection without a request ends it
        self._thread.join()
        self._listener.close()


class BrokenTestCase(unittest.TestCase):
    def serve(self, *plans, **options):
        """Return a client, which does not pause, of a server with these plans."""
        self.server = BrokenServer(*plans)
        self.addCleanup(self.server.close)
        options.setdefault("timeout", LIMIT)
        client = GanetiClient(self.server.url, "admin", PASSWORD, **options)
        self.pauses = []
        client._pause = self.pauses.append
        return client

    def fail_with(self, kind, call, *arguments, **words):
        """Return the exception, after checking its class and that no text contains the password."""
        began = time.monotonic()
        with self.assertRaises(kind) as caught:
            call(*arguments, **words)
        err = caught.exception
        self.assertLess(time.monotonic() - began, LIMIT)
        self.assertIs(type(err), kind)
        self.assertIsNone(err.__context__)
        self.assertIsNone(err.__cause__)
        for text in (
            str(err),
            repr(err),
            "".join(traceback.format_exception(type(err), err, err.__traceback__)),
            repr(vars(err)),
        ):
            for secret in SHOWN:
                self.assertNotIn(secret, text)
            self.assertNotIn("[Errno", text)
        return err


class TestOneException(BrokenTestCase):
    def test_bad_answers_raise_no_answer(self):
        for name, plan in sorted(BROKEN.items()):
            with self.subTest(name):
                client = self.serve(plan)
                err = self.fail_with(NoAnswer, client.get_info)
                self.assertTrue(str(err).startswith(self.server.url + ": "), err)
                self.assertTrue(err.safe_to_repeat)
                err = self.fail_with(NoAnswer, client.start_instance, "web")
                self.assertFalse(err.safe_to_repeat)
                self.assertIsNotNone(err.key)

    def test_endless_answers_raise_no_answer(self):
        with mock.patch.object(client_module, "MAX_ANSWER", 200_000):
            for name, plan in sorted(ENDLESS.items()):
                with self.subTest(name):
                    self.fail_with(NoAnswer, self.serve(plan, timeout=STALL).get_info)

    def test_json_of_another_kind_raises_no_answer(self):
        for call, value in (
            (lambda client: client.get_version(), "two"),
            (lambda client: client.get_version(), True),
            (lambda client: client.get_features(), {"a": 1}),
            (lambda client: client.get_tags(), ["a", 1]),
            (lambda client: client.get_nodes(), [{"name": "x"}, None]),
            (lambda client: client.get_nodes(bulk=True), ["x"]),
            (lambda client: client.get_groups(), [{"uri": "x"}]),
            (lambda client: client.get_jobs(), [{"id": "x"}]),
            (lambda client: client.get_jobs(bulk=True), [{}]),
            (lambda client: client.get_job(1), {"id": 1}),
            (lambda client: client.wait_for_job(1), {"status": ["success"]}),
            (lambda client: client.cancel_job(1), [True]),
            (lambda client: client.cancel_job(1), ["true", "x"]),
            (lambda client: client.query("job", ["id"]), {"fields": []}),
            (lambda client: client.query_fields("job"), []),
            (lambda client: client.get_filters(), [1]),
            (lambda client: client.put_filter(priority=1), 5),
            (lambda client: client.get_node_role("n"), None),
            (lambda client: client.start_instance("w"), 1.5),
            (lambda client: client.create_instance("w", "file", [], []), {"id": 1}),
            (lambda client: client.add_tags(["a"]), [17]),
        ):
            client = self.serve(answer(value))
            with self.subTest(value=value):
                self.assertIn(" instead of ", str(self.fail_with(NoAnswer, call, client)))

    def test_a_closed_port_is_safe_to_repeat(self):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = "http://127.0.0.1:%d" % gone.getsockname()[1]
        client = GanetiClient(url, "admin", PASSWORD)
        client._pause = self.fail  # it makes no sense to try again at once
        self.assertTrue(self.fail_with(NoAnswer, client.start_instance, "web").safe_to_repeat)

    def test_a_name_without_an_address_is_said_in_words(self):
        error = socket.gaierror(-2, "Name or service not known")
        with mock.patch.object(socket, "getaddrinfo", side_effect=error):
            err = self.fail_with(NoAnswer, GanetiClient("http://h", "admin", PASSWORD).get_info)
        self.assertEqual(str(err), "http://h: Name or service not known")


class TestApiErrors(BrokenTestCase):
    def test_a_refusal_that_quotes_the_password_does_not_show_it(self):
        words = {
            "code": 401,
            "message": "No " + LEAK.decode(),
            "explain": LEAK.decode(),
            "detail": "\x1b[2J" + LEAK.decode(),
        }
        err = self.fail_with(ApiError, self.serve(answer(words, b"401 " + LEAK)).get_info)
        self.assertEqual(err.code, 401)
        self.assertIn("<redacted>", err.message)
        self.assertNotIn("\x1b", str(err))

    def test_a_failed_job_that_quotes_the_password_does_not_show_it(self):
        for result in (["OpExecError", [PASSWORD]], PASSWORD, [PASSWORD], None, {"a": PASSWORD}):
            job = {"id": 5, "status": "error", "opstatus": ["error"], "opresult": [result]}
            client = self.serve(answer(job))
            with self.assertRaises(JobError) as caught:
                client.wait_for_job(5)
            self.assertNotIn("hunter2", str(caught.exception))

    def test_odd_words_of_a_refusal_are_left_out(self):
        for more in ({"explain": 5, "detail": []}, {"explain": None}, {}):
            client = self.serve(
                answer(dict(more, message="busy"), b"503 X", b"Retry-After: 30\r\n")
            )
            err = self.fail_with(ApiError, client.get_info)
            self.assertEqual(
                (err.message, err.explain, err.detail, err.retry_after), ("busy", "", "", 30)
            )

    def test_what_was_refused_may_be_sent_again(self):
        for status, safe in (
            (400, True),
            (404, True),
            (429, True),
            (501, True),
            (503, True),
            (500, False),
            (502, False),
            (504, False),
        ):
            client = self.serve(answer({"message": "x"}, b"%d X" % status))
            err = self.fail_with(ApiError, client.start_instance, "web")
            self.assertEqual((err.code, err.safe_to_repeat), (status, safe))

    def test_interim_answers_are_skipped(self):
        for interim in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"):
            self.assertEqual(self.serve(interim * 3 + answer({"a": 1})).get_info(), {"a": 1})

    def test_answers_of_older_servers_are_read(self):
        for body in (
            answer("17"),
            chunked(b"2\r\n17\r\n0\r\n\r\n"),
            closed(b"17"),
            b"HTTP/1.0 200 OK\r\n\r\n17",
        ):
            self.assertEqual(self.serve(body).start_instance("web"), 17)


class TestAgain(BrokenTestCase):
    CUT = OK + b"Content-Length: 9\r\n\r\n1"
    STORED = answer(17, head=b"Idempotency-Status: stored\r\n")

    def keys(self):
        return [key for _, key in self.server.requests]

    def test_a_read_is_sent_again(self):
        for broken in (self.CUT, b"", reset, chunked(b"ff\r\n{")):
            client = self.serve(broken, broken, answer({"a": 1}))
            self.assertEqual(client.get_info(), {"a": 1})
            self.assertEqual(len(self.server.requests), 3)
            self.assertLess(self.pauses[0], self.pauses[1])

    def test_a_read_is_sent_no_more_often_than_wanted(self):
        for retries in (0, 1, 3):
            client = self.serve(self.CUT, retries=retries)
            self.fail_with(NoAnswer, client.get_info)
            self.assertEqual(len(self.server.requests), 1 + retries)

    def test_a_query_is_a_read(self):
        client = self.serve(self.CUT, answer({"fields": [], "data": []}))
        self.assertEqual(client.query("job", ["id"])["data"], [])

    def test_a_change_with_your_key_is_sent_again_with_it(self):
        client = self.serve(self.CUT, b"", self.STORED)
        self.assertEqual(client.start_instance("web", idempotency_key="mine"), 17)
        self.assertEqual(self.keys(), ['"mine"'] * 3)

    def test_a_change_without_is_not_until_the_server_honours_keys(self):
        client = self.serve(self.CUT, self.STORED, self.CUT, self.STORED)
        err = self.fail_with(NoAnswer, client.start_instance, "web")
        self.assertFalse(err.safe_to_repeat)
        self.assertEqual(client.start_instance("web", idempotency_key=err.key), 17)
        self.assertEqual(client.start_instance("web"), 17)
        keys = self.keys()
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(keys[2], keys[3])
        self.assertNotEqual(keys[0], keys[2])

    def test_a_server_that_does_not_honour_keys_gets_nothing_twice(self):
        for head in (b"", b"Idempotency-Status: not-honoured\r\n"):
            client = self.serve(answer(17, head=head), self.CUT)
            client.start_instance("web")
            err = self.fail_with(NoAnswer, client.start_instance, "web", idempotency_key="mine")
            self.assertFalse(err.safe_to_repeat)
            self.assertEqual(len(self.server.requests), 2)

    def test_a_change_of_which_nobody_knows_is_sent_again_with_its_key(self):
        for status in (b"502 X", b"504 X"):
            client = self.serve(answer({"message": "the master is gone"}, status), self.STORED)
            self.assertEqual(client.add_tags(["a"], idempotency_key="mine"), 17)
            self.assertEqual(self.keys(), ['"mine"'] * 2)

    def test_what_has_no_key_is_not_sent_again(self):
        client = self.serve(self.CUT)
        for call in (
            lambda: client.cancel_job(5),
            lambda: client.put_filter(priority=1),
            lambda: client.request("POST", "/2/instances", body={}),
        ):
            self.assertFalse(self.fail_with(NoAnswer, call).safe_to_repeat)
        self.assertEqual(len(self.server.requests), 3)

    def test_a_refusal_is_final(self):
        client = self.serve(answer({"message": "busy"}, b"503 X"))
        self.fail_with(ApiError, client.start_instance, "web", idempotency_key="mine")
        self.assertEqual(len(self.server.requests), 1)

    def test_there_is_one_time_limit_for_all_tries(self):
        client = self.serve(self.CUT, silence, timeout=STALL)
        self.fail_with(NoAnswer, client.get_info)
        self.assertEqual(len(self.server.requests), 2)


class TestTls(BrokenTestCase):
    def serve_tls(self, plan, certificate=None, host="localhost", **options):
        """Serve over TLS, or with a plan that is not TLS; return the client."""

        def serve(listener):
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    if certificate is None:
                        sock.recv(1)
                        plan(sock)
                        return
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    with context.wrap_socket(sock, server_side=True) as tls:
                        tls.recv(65536)
                        tls.sendall(plan)

        listener = socket.create_server((socket.gethostbyname(host), 0))
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(listener.close)
        options.setdefault("timeout", LIMIT)
        return GanetiClient(
            "https://%s:%d" % (host, listener.getsockname()[1]),
            "admin",
            PASSWORD,
            retries=0,
            **options,
        )

    def test_an_answer_over_tls_is_read(self):
        client = self.serve_tls(answer({"a": 1}), certificate(), ca_file=certificate())
        self.assertEqual(client.get_info(), {"a": 1})

    def test_an_untrusted_certificate_says_what_to_give(self):
        err = self.fail_with(NoAnswer, self.serve_tls(b"", certificate()).start_instance, "web")
        self.assertIn("give the right one as ca_file", str(err))
        self.assertTrue(err.safe_to_repeat)

    def test_a_certificate_of_another_host_is_not_trusted(self):
        client = self.serve_tls(b"", certificate(), host="127.0.0.2", ca_file=certificate())
        err = self.fail_with(NoAnswer, client.get_info)
        self.assertIn("not trusted", str(err))

    def test_an_answer_that_is_cut_off_is_not_safe_to_repeat(self):
        cut = OK + b"Content-Length: 9\r\n\r\n1"
        client = self.serve_tls(cut, certificate(), ca_file=certificate())
        self.assertFalse(self.fail_with(NoAnswer, client.start_instance, "web").safe_to_repeat)

    def test_a_failed_handshake_raises_no_answer(self):
        for plan in (
            lambda sock: sock.sendall(answer({})),
            lambda sock: None,
            reset,
            lambda sock: sock.sendall(b"\x16\x03\x03\x00\x7a\x02" + LEAK),
        ):
            client = self.serve_tls(plan)
            self.assertTrue(self.fail_with(NoAnswer, client.start_instance, "w").safe_to_repeat)

    def test_an_endless_handshake_raises_no_answer(self):
        for plan in (silence, for_ever(b"\x16\x03\x03\x00\xff", b"\x02", pause=0.01)):
            self.fail_with(NoAnswer, self.serve_tls(plan, timeout=STALL).get_info)


class TestUrl(unittest.TestCase):
    def test_a_password_in_the_url_counts_and_is_not_shown(self):
        client = GanetiClient("https://admin:hunter2%20%26%20co@cluster.example.com:5080/")
        same = GanetiClient("https://cluster.example.com:5080", "admin", PASSWORD)
        self.assertEqual(client._headers(None, None), same._headers(None, None))
        self.assertEqual(repr(client), "<GanetiClient https://cluster.example.com:5080>")

    def test_a_url_that_makes_no_sense_is_not_quoted(self):
        for url in (
            "admin:hunter2@h:5080",
            "ftp://admin:hunter2@h",
            "https://admin:hunter2@",
            "https://admin:hunter2@h:x",
            "https://admin:hunter2@h:99999",
            "https://admin:hunter2/x@h:5080",
            "https://admin:12/hunter2@h",
            "https://admin:hunter2#x@h",
            "https://admin:hunter2?x@h",
            "hunter2",
            "https://admin:hunter2@h/?x=1",
            "https://h/#hunter2",
            "https://h /hunter2",
            "https://h\r\nhunter2",
            "https://admin:hunter2@[h",
            "//admin:hunter2@h",
            "",
            "https://admin:hunter2@" + "h" * 300,
            "https://admin:hunter2@h..x",
        ):
            with self.subTest(url), self.assertRaises(ValueError) as caught:
                GanetiClient(url)
            err = caught.exception
            text = "".join(traceback.format_exception(type(err), err, None))
            self.assertNotIn("hunter2", text)
            self.assertIn("the URL must be like", text)

    def test_invalid_arguments_are_refused(self):
        client = GanetiClient("http://127.0.0.1:9")
        for call in (
            lambda: client.request("get", "/2"),
            lambda: client.request("GET", "2"),
            lambda: client.request("GET", "/2/x y"),
            lambda: client.request("GET", "/2\r\nX: y"),
            lambda: client.start_instance("w", idempotency_key="x" * 256),
            lambda: client.start_instance("w", idempotency_key="x\r\ny"),
            lambda: GanetiClient("http://h", "a:b", PASSWORD),
        ):
            with self.assertRaises(ValueError) as caught:
                call()
            self.assertNotIn("hunter2", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
