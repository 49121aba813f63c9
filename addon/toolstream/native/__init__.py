"""Reads and mends the calls that the server parsed.

All their text comes through a `NativeCall`, and the arguments through readers that are nested like pipes.

    the calls of a message      calls · call · routes · names · in_text
    the arguments of one call   new_arguments · arguments · reader
    what they are               mender · forms · wrapped · preset
    an object                   object_mender · json_stream · nesting · keys · scalars
    what its strings took in    swallowed · closers · tags · in_arguments
    its end                     object_end · after_object · broken_off
    the user's rules            ruled
"""
