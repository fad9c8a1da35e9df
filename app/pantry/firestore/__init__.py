"""The pantry in Firestore, shared by any number of services and apps: read live, changed atomically.

An item is a document of one collection: its id is the item's name, its integer field `count` the count. Other fields
are left alone. A listener keeps a copy in memory, which answers every read.
"""
