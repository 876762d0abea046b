"""The database: SQLite opened so that a commit survives a power cut.

store   one writer, which commits together what came together; readers
schema  its tables, indexes and the sums of rows
files   the database as files: kept aside, put in place of another
"""
