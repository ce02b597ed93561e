"""A test double of a Qdrant server, on Qdrant's own in-process engine. Never for a user's data: see README.md."""

TITLE = "qdrant double - not a Qdrant server"
VERSION = "1.17.1"
