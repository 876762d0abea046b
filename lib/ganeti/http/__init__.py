"""HTTP for the front daemon: messages, and the server that carries them; nothing of Ganeti.

message      requests and responses as values; serializing a response
errors       error responses as exceptions, one class for each status
parser       bytes to requests, strictly
tls          protocols, ciphers and certificates; a transport that does not block
openssl      OpenSSL's configuration, set before it is loaded
certificate  facts about our own certificate, and whether clients accept it
revocation   warnings about certificate revocation lists
connection   one client: its socket, its states, its deadlines
streaming    response body that is generated while it is sent
server       event loop: listening, accepting, shutting down; the access log
negotiation  gzip; conditional requests
cors         origins of web pages that may use the API
"""
