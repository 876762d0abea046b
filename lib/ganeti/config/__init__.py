"""The configuration of the cluster: objects in memory, changed in durable transactions.

config        the objects, the transactions that change them, reserved memory and disk
reservations  names, MAC addresses, ports and minors that running jobs have claimed
"""
