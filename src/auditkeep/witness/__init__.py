"""An independent witness: remembers the last checkpoint of each log it watches, and cosigns only
what continues it. It imports nothing of the server, and can be run by anybody, anywhere.
"""
