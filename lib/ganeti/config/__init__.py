"""The configuration of the cluster: objects in memory, changed in durable transactions.

config        the objects, and the transactions that change them
reservations  names, MAC addresses, ports and minors that running jobs have claimed
"""
