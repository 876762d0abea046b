"""Who it is, and what he may do.

users          the users file
passwords      how a password may be kept
rights         what a user may do
authenticator  credentials checked at a bounded cost
object_names   the canonical name of the object that a right is about
"""
