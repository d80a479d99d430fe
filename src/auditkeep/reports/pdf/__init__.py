"""Pages: the report model drawn as tagged PDF/A-2a (and PDF/UA-1) by typst, in a bounded process.

`document` turns the model into plain data, `text` makes foreign text printable, `chart` draws,
`render` is the program that runs apart and `process` is how the rest of the house runs it.
"""
