"""Shared libraries with our C header, each in a process of its own.

    vnethash.h     what a library exports; the only definition of it, for C and for us
    target.py      the target `lib:PATH.so`: looks at the file, starts the process
    __main__.py    that process: the library behind the adapter protocol, in binary framing
    library.py     the library itself, loaded
"""
