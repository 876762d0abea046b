"""The job queue: durable, ordered, parked while it waits.

job           what a job is; its statuses and their legal moves
clocks        the wall's, the machine's, and seconds of service
rows          jobs as rows of the database, written and read
listing       pages of the list of jobs, found by the database's indexes
id_gaps       job ids that were given and are gone
live          the live jobs in memory: who is next, who watches them, why one waits
submission    submissions, written together
admission     job filters: which jobs may begin
dependencies  jobs that wait for other jobs to end
scheduler     gives jobs their turn; is handed what carries opcodes out
execution     what the scheduler and the work say to each other
completion    how opcodes and jobs end: stored first, then shown
recovery      what a master makes of the jobs of the one before
purge         deletes archived jobs
queue         what clients ask for: submit, query, cancel, wait, archive
"""
