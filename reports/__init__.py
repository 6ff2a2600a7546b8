"""Documents about a run, written from its run directory alone.

`facts.read_facts` reads a run into typed facts; each writer turns them into one document: `html.write_report` a
self-contained page, `notebook.write_notebook` the cells that were executed. The same run gives the same bytes.
"""
