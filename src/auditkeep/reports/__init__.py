"""Reports: what an auditor is handed, from the selected evidence to a signed archive.

`build` reads the selection into the pure model, `archive` writes the zip as a stream, `pdf` draws
the pages in bounded subprocesses, and `digest` lists and signs what was written.
"""
