"""Tags that lost a bracket, or have more in them than belongs there.

A long context or speculative decoding drops or doubles a token; the tag stays plain to see.
`{cut}` stands for a `>` that is not there: the line ends, or the next tag begins.
"""

from ...repairs import Repair
from ..dialect import Dialect

DIALECT = Dialect(
    "damaged_tag",
    rank=20,
    damaged=True,
    repair=Repair.DAMAGED_TAG,
    wrap_open=("<tool_call{cut}",),
    call_open=("<function={name}{cut}", "<function={word} {members}>"),
    parameter_open=("<parameter={name}{cut}", "<parameter={pair}>"),
)
