"""The job queue: durable, ordered, parked while it waits.

  job      what a job is; its statuses and their legal moves
  journal  jobs as rows of the database
  board    the live jobs in memory, and who watches them
  task     what the runner and the work say to each other
  runner   gives jobs their turn; is handed what carries opcodes out
  depends  jobs that wait for other jobs to end
  work     what an opcode that runs may do to its job (run: how it sees that)
  ending   how opcodes and jobs end: stored first, then shown
  queue    what clients ask for: submit, query, cancel, wait, archive
"""
