"""The job queue: durable and ordered; a job that waits holds no thread.

job         a job: its opcodes, statuses and logs; the clocks that time it
rows        jobs as rows of the database, written and read
listing     pages of the list of jobs, found through the database's indexes
id_gaps     job ids that name no job on purpose
live        the live jobs in memory: their order, their work, their end
submission  accepts jobs; submissions that arrive together are written together
admission   which jobs may begin: dependencies and job filters
scheduler   gives jobs their turn; is handed what carries opcodes out
recovery    what becomes of the unfinished jobs of the previous master
purge       deletes archived jobs
queue       the queue as clients see it: query, cancel, wait, archive, and its settings
"""
