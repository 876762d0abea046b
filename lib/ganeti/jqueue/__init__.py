"""The job queue: durable, ordered, parked while it waits.

job      what a job is; its statuses and their legal moves
clocks   the wall's, the machine's, and seconds of service
journal  jobs as rows of the database, written; records: read; pages: listed
board    the live jobs in memory, and who watches them
line     who is next: priorities and their ageing
task     what the runner and the work say to each other
runner   gives jobs their turn; is handed what carries opcodes out
depends  jobs that wait for other jobs to end
gate     rules that keep jobs from beginning, at work; rules: stored
waits    why a job waits, for people and programs
work     what an opcode that runs may do to its job (run: how it sees that)
ending   how opcodes and jobs end: stored first, then shown
resume   what a master makes of the jobs of the one before; burial: of those that are over
intake   submissions, written together
queue    what clients ask for: submit, query, cancel, wait, archive
"""
