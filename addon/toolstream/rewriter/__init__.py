"""Bytes to bytes: rewrites answers, streamed or whole.

It knows no API. Frames come from a wire and leave through its encoder, in the order of the queue.

    a streamed answer      stream · queue · message · lanes · parsers
    its common frame       steady
    what goes wrong        fail_open · early_end · engine_errors
    a whole answer         whole
"""
