"""Maintenance of the database, and of what else a cluster has on this machine.

check              finds damage in a database, and says what it is
wal                reads SQLite's log as bytes, and finds what SQLite would not apply
repair             before a start: checks the database, rebuilds it from what is undamaged
backup             copies the database, without secrets in clear, to one file
encrypted_secrets  the secrets of a backup, encrypted
restore            makes a cluster from a backup
upgrade            opens the database, upgrading one of an older schema
renewal            makes a new certificate
ensure_dirs        sets owners and modes of files and directories again
"""
