"""What the simulator answers, by service: a function for each operation that needs one of its own.

A handler takes the estate and what is asked and returns the output by the model's member names.
"""
