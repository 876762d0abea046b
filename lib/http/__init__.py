"""HTTP for the front daemon: messages, the server that carries them, users; nothing of Ganeti.

  errors      the refusals, each a class with its status
  message     requests and responses as values; a response's bytes
  reader      bytes -> requests, strictly
  tls         the certificate and what we agree to speak with it
  connection  one client: its socket, its deadlines
  pool        the threads that carry requests out
  server      the loop: listening, the cap on clients, shutdown
  auth        users file, passwords, rights
"""
