"""The query language (Ganeti's ``qlang``): what selects objects and jobs.

filters      filters of queries: parsed once, then applied to each object
safe_regex   regular expressions whose matching ends in time
job_filters  which jobs may begin (``gnt-filter``)
"""
