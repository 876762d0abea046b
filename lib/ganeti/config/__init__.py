"""The configuration of the cluster: read, changed in one transaction, found by index.

config        the objects, and transactions that change them
index         objects by uuid, by name, and by what links to them
reservations  MAC addresses, ports and minors that nobody else may take meanwhile
generation    counts changes, and caches what was computed since the last one
"""
