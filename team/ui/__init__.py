"""`mlteam ui`: a page on this machine over a folder of runs. It reads, and changes nothing."""
