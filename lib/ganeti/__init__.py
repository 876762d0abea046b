"""The Ganeti remote API as two daemons: the map of the house.

Shared words, which both daemons use:

  constants   the contract's words: statuses, kinds, limits
  errors      one exception tree and its wire form
  params      hypervisor, backend, NIC, node and disk parameters, as tables
  ipolicy     what sizes of instances a group allows
  pathutils   every file and socket path, under one root
  ht          does a value fit a type; serializer: strict JSON
  qfilter     the query filter language; pattern: regular expressions that end
  jobrules    which jobs may begin, and who said so
  utils       io, process, log, loop, text: small and separate
  daemon      what the two daemons have in common as processes
  objects     Cluster, Node, Group, Instance, Disk, Nic
  opcodes     every opcode, by noun
  luxi        the protocol between the daemons

The front (ganeti-rapi):

  http        bytes and sockets, users and rights; knows nothing of Ganeti
  rapi        resources, routes and the translation of errors
  server.rapi puts them together

The master (ganeti-masterd):

  store       SQLite, opened so that a commit survives a power cut; schema: its tables
  config      the cluster's configuration; lookup, reservations and ssconf beside it
  jqueue      jobs: durable, ordered, parked while they wait
  locking     who holds what, who waits for whom
  mcpu        carries one opcode through its steps
  cmdlib      one file per opcode: what it does
  query       field tables: what can be asked
  node        what is done on a node; storage, osdef, hypervisor below it
  bootstrap   creates a cluster on disk
  upkeep      the database kept whole: backups, and what to do about damage
  server      masterd, luxid, cluster: wiring and command lines

The two columns never import each other; test_architecture holds the floors.
"""
