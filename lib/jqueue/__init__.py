"""The job queue: durable, ordered, parked while it waits.

  job      what a job is; its statuses and their legal moves
  journal  jobs as rows of the database
  board    the live jobs in memory, and who watches them
  runner   gives jobs their turn; is handed what carries opcodes out
  queue    what clients ask for: submit, query, cancel, wait, archive
"""
