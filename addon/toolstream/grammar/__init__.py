"""What a call looks like: kinds of tags, tables of how dialects spell them, and what finds them in a text.

A matcher knows the tags of the tables. Any other tag is read as a token, and compared with what it may be.

    the tables             dialect · dialects · writing · spelling · kinds · names
    a tag in a text        grammar · matcher · tag
    a misspelt tag         slipped · in_pieces · alignment
    a tag of no table      tokens · likeness · brackets
    what readers share     text
"""
