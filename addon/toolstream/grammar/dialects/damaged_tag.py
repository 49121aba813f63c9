"""Tags that lost a bracket or have surplus text in them.

In a long context, or with speculative decoding, a token is lost or doubled; the tag can still be
recognised. `{cut}` stands for a missing `>`: the line ends there, or the next tag begins; `{json}`
for one before the rest of a JSON call.
"""

from ...repairs import Repair
from ..dialect import Dialect

DIALECT = Dialect(
    "damaged_tag",
    rank=20,
    damaged=True,
    repair=Repair.DAMAGED_TAG,
    wrap_open=("<tool_call{cut}",),
    call_open=("<function={name}{cut}", "<function={name}{json}", "<function={word} {members}>"),
    parameter_open=("<parameter={name}{cut}", "<parameter={pair}>"),
)
