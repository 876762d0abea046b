"""The Ganeti remote API as two daemons, front and master: the map of the package.

Shared, which both daemons import:

  constants        statuses, kinds and limits that the API names
  errors           the exceptions, and their form on the wire
  pathutils        the path of every file and socket, below one root
  serializer       strict JSON
  ht               checks whether a value fits a type
  params           parameters of hypervisors, backends, NICs, nodes and disks, as tables
  other_ganeti     signs that this machine belongs to a real Ganeti cluster
  opcodes          every opcode, a module for each noun: fields and types, no behaviour
  qlang            filters of queries, safe regular expressions, filters of jobs
  luxi             the protocol between the daemons: messages, client
  utils            files, logs, text, processes, event loop; each module stands alone
  daemon           the life of a daemon: options, privileges, pid file, handover

The front, ganeti-rapi:

  http             bytes to requests and back, TLS, connections, the server; nothing of Ganeti
  rapi             resources (rlib2) on a common base (baserlib), their routes, users, rights

The master, ganeti-masterd:

  objects          Cluster, Node, Group, Instance, Disk, Nic
  ipolicy          instance policies: the sizes that a group allows
  db               SQLite, opened so that a commit survives a power failure; the schema
  config           the configuration: read, changed in transactions, indexed, reserved
  hypervisor       drivers that run guests, hv_*
  storage          disks: files, and the volumes of simulated nodes
  node             what is done on a node, this machine or a simulated one; OS definitions
  jqueue           the job queue: submission, admission, scheduling, completion, recovery
  locking          who holds a lock, and who waits for it
  mcpu             carries one opcode through the steps of its logical unit
  bootstrap        creates a cluster on disk
  ssconf           simple configuration: files of facts, which scripts on the nodes read
  layout           directories and files of a cluster, their owners and modes
  certificate      makes the certificate of the API
  hooks            finds Ganeti's hooks, which this version does not run
  cmdlib           logical units: a module for each opcode that the master carries out
  query            field tables: what can be asked, and how a query is answered
  maintenance      check, repair, backup, restore and upgrade of the database

The programs, each in the column of its daemon:

  server           command lines and wiring of ganeti-rapi, ganeti-masterd, ganeti-cluster and
                   rapi-passwd

Front and master never import each other; test/test_architecture.py has the rules.
"""
