"""HTTP for the front daemon: messages and the server that carries them; nothing of Ganeti.

errors       the refusals, each a class with its status
message      requests and responses as values; a response's bytes
parser       bytes -> requests, strictly
tls          what we agree to speak with a client, and a transport that does not block
openssl      OpenSSL's own configuration, before it is loaded
certificate  what our certificate says, and whether clients accept it
revocation   which client certificates are revoked
connection   one client: its socket, its states, its deadlines
streaming    a body that is made while it is sent
server       the loop: listening, limits, shutdown
negotiation  gzip; what a client has already
cors         which web pages may use the API
access_log   what the log says of an answer
"""
