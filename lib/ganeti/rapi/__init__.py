"""The resources of the API: routes, access, arguments and what becomes of them.

baserlib      Resource, its verbs, the request as they see it, and the connector: path -> resource
rlib2         the resources, by noun
arguments     words of the query, and the body
precondition  what If-Match and its like are compared with
submit        a verb that submits opcodes
reading       a verb that reads objects
job_wait      a long poll: waiting for changes of a job
auth          users, passwords, rights, and who it is
permissions   the vocabulary of rights
faults        error of ours or of the master -> HTTP error; the one place
reference     the reference page, from the classes
client        a client in one file that can be copied
"""
