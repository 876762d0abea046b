"""Authentication and rights.

authenticator  who sent a request: the watched users file, credentials checked at a bounded cost
throttle       pauses after failures, and the queue of costly checks
users          parser of the users file
passwords      schemes in which the users file stores a password
rights         what a user may do
object_names   canonical name of the object that a right is about
"""
