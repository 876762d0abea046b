"""HTTP for the front daemon: messages, the server that carries them, users; nothing of Ganeti.

errors      the refusals, each a class with its status
message     requests and responses as values; a response's bytes
reader      bytes -> requests, strictly
tls         the certificate and what we agree to speak with it
deadlines   how long a client may take
flow        a body that is made while it is sent
connection  one client: its socket, its states
pool        the threads that carry requests out
conditional what a client has already
coding      gzip
cors        which web pages may use the API
access      what a log says of an answer
server      the loop: listening, the cap on clients, shutdown
passwords   how a password may be kept
rights      what a user may do
auth        the users file
guard       credentials checked at a bounded cost
"""
