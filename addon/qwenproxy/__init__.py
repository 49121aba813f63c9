"""The mitmproxy side: hooks, options, recordings. The parsing is `toolstream`'s.

    the program            cli · arguments · demo · service · terminal · wording
    mitmproxy's hooks      addon · setup · configuration · options · optional
    one chat               chat · response · answer · untyped · finish
    what an answer is      apis · form · encoding · errors · outcome
    rooms                  backend · mitm · recording · replay · rules · ui · upstream

`backend` is the model server, and `upstream` stands in for one with recordings. `mitm` is what is not in
mitmproxy's own interface. `replay` has the tools for recordings that `recording` wrote.
"""

__version__ = "0.1.0"
