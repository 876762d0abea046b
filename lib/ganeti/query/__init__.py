"""Queries: field tables, and the engine that answers from them.

  engine       fields, kinds of things, what one query has read, and how it is answered
  instance, node, group, job, job_filter   a kind each: its fields and its rows
  others       locks; networks and exports, which tools ask for and which are empty here
  parameters   fields of single parameters: be/, hv/, ndp/
  cluster      QueryClusterInfo, QueryConfigValues, QueryTags

Importing this package registers all kinds. Names, titles and kinds of fields are Ganeti
3.0's, because its tools print and match them; ``test/data/query_fields.json`` records
them as facts.
"""

from ganeti.query import group, instance, job, job_filter, node, others

__all__ = ["group", "instance", "job", "job_filter", "node", "others"]
