"""The database kept whole: backups, and what to do about damage.

backup    a copy in one file; sealing: without a secret in clear
restore   the opposite
wal       SQLite's log as bytes; walcheck: is all of it applied?
verify    is a database as it was written?
salvage   before a start: is it sound? rebuild: a new one of what is whole
"""
