"""The command line `cacheaside`. A module has the commands that are about one thing; it is imported when one is called.

Exit status: 0 done, 1 the command found problems (check) or the answer is no (demo, doctor), 2 wrong usage, 3 it could
not be carried out, 130 interrupted or declined.
"""
