"""The database: SQLite opened so that a commit survives a power failure.

store   one writer, which commits together what arrived together; readers
schema  its tables and indexes; rows with checksums
files   the database as files: opened read-only, copied, installed
"""
