"""What a call looks like: kinds of tags, tables of how dialects spell them, and what finds them in a text."""
