"""The resources of the API: routes, access, arguments and what becomes of them.

faults     error of ours or of the master -> HTTP error; the one place
arguments  words of the query
baserlib   Resource, its verbs, and the request as they see it
submit     a verb that submits opcodes
rlib2      the resources, by noun
connector  path -> resource
reference  the reference page, from the classes
client     a client in one file that can be copied
"""
