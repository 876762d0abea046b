"""The database kept whole, and what else is done to a cluster at rest.

check              is a database as it was written?
wal                SQLite's log as bytes: is all of it applied?
repair             before a start: is the database sound? a new one of what is whole
backup             a copy in one file
encrypted_secrets  what no backup holds in clear
restore            a cluster from a backup
upgrade            a database of an earlier version
renewal            a new certificate
ensure_dirs        owners and modes of files and directories, set again
"""
