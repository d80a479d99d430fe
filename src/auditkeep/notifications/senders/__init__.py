"""Handing messages to the world: the only modules of this room that touch the network.

One module a channel. Each is told everything it needs, bounds its time, and turns what its library
raises into a `DeliveryError` whose text names neither secrets nor customers' words.
"""
