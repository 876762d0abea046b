"""The query language (Ganeti's ``qlang``), which selects objects and jobs.

filters      filters of queries: parsed once, then applied to each object
safe_regex   regular expressions that cannot take long
job_filters  rules that decide which jobs may start (``gnt-filter``)
"""
