"""Field tables: what can be asked of the cluster, one file a kind of thing.

  base        what a field is, what a kind is, what one query has read
  engine      Query, QueryFields, the classic queries, rows and pages of jobs
  instance, node, group, job, job_filter   a table of fields each, and where rows come from
  others      locks; network, export: asked for by tools, always empty here
  devices     an instance's cards and disks, field by field
  parameters  fields that stand for single parameters: be/, hv/, ndp/
  cluster     QueryClusterInfo, QueryConfigValues, QueryTags

Names, titles and kinds of fields are Ganeti 3.0's: its tools print and match
them. ``test/data/query_fields.json`` holds them as facts.
"""
