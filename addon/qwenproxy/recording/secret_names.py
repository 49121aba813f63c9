"""Decides which names name a secret: headers, JSON keys, query parameters and parameters of calls.

A name is judged by its meaning. It is split into words, at `-`, `_`, `.`, digits and capitals.
`x-functions-key`, `accessToken` and `client_secret` name a secret because of one word in them. A
name whose words are written together (`apikey`) is known by its end.

The same words have other meanings, and those names stay readable:

    properties of a secret             token_type, key_name, session_timeout, password_length
    tokens that are text               max_tokens, prompt_tokens, stop_token_ids, first_token
    keys that find something           sort_key, primary_key, prompt_cache_key, key_points
    other passes and signatures        first_pass, function_signature

If in doubt it is a secret: one value too many only costs a word in a recording. So `session_id` is a
secret (whoever has it may act in that session), and so are `key` and `pwd` alone. `prompt_cache_key` is
not: it names a place in a cache, and opens nothing.
"""

import re
from functools import lru_cache

# The name of a secret contains one of these, so a text without them has no secret.
ROOTS = (
    *(b"auth", b"bearer", b"cookie", b"cred", b"jwt", b"key", b"pass", b"pwd", b"secret", b"sess", b"sig"),
    b"token",
)
LONGEST_NAME = 64  # characters

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SEPARATOR = re.compile(r"[^A-Za-z]+")

_SECRET = re.compile(
    r"(?:o?auth|authn|authori[sz]ation|authentication|authenticate|bearer|cookies?|creds?|credentials?|jwts?"
    r"|passcode|passkey|passphrases?|passw\w*|pwd|secrets?|sessid|session|sigs?|signatures?|token)"
)
# Names whose words are written together: `apikey`, `phpsessid`, `dbpassword`.
_JOINED = re.compile(
    r"\w*(?:access|account|admin|api|app|auth|client|deploy|encryption|functions?|host|license|master|private"
    r"|secret|server|service|session|shared|signing|ssh|subscription|user)keys?"
    r"|\w*(?:access|api|auth|bearer|csrf|id|jwt|refresh|secret|security|session|user|xsrf)tokens?"
    r"|\w*(?:admin|api|db|ftp|login|mail|proxy|root|smtp|ssh|user)(?:pass|pwd)"
    r"|\w*(?:api|basic|http|proxy|x)auth|auth(?:code|data|header|string)"
    r"|\w*sess(?:ion)?id|\w*(?:credentials?|passphrase|passw(?:or)?d|secret)s?"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# These describe the words before them and are not secret themselves.
_ABOUT = _words(
    """
    algorithm budget bias bytes consent cost count description details dir domain duration enabled
    endpoint error expiration expired expires expiry field file filename format in index label len
    length level limit logprob logprobs max message method methods min mode name names path policy price
    probability provider rate ratio required scheme scope scopes size status strategy supported time
    timeout timestamp title ttl type types uri url usage used version
    """
)
# A key of these finds something and opens nothing.
_FINDING = _words(
    """
    arrow cache column composite config dedup dict event field foreign group hash hot i idempotency
    index issue json localization lookup map message metric object order partition primary project
    public range routing row shortcut sort sorting translation
    """
)
_KEY_TAILS = _words("b base data header hex id pair pem secret string value")
_KEY_HEADS = _words("access api auth private secret signing encryption")
# A token of these is a piece of text.
_TEXT = _words(
    """
    added bos cached cls completion draft eos first generated input last mask max min num output pad per
    prompt reasoning sep special stop text thinking total unk
    """
)
_HOLDERS = _words("access api auth bearer device refresh secret security session user")
_PASSES = _words("band boarding by first forward high low multi over render second single third through two")
_CODE = _words("class function method time type")  # these have signatures that are not secret

_IN_QUERY = frozenset(("code", "sas"))


_NO_DIGITS = str.maketrans("0123456789", "-" * 10)


def is_secret(name: str) -> bool:
    """Whether the value of this name is secret."""
    return _is_secret(name.translate(_NO_DIGITS))  # so that `key_1`, `key_2` … are judged once


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    if len(name) > LONGEST_NAME or name.lower().startswith("access-control-"):
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    joined = (part.lower() for part in _SEPARATOR.split(name))
    return any(map(_JOINED.fullmatch, joined)) or any(
        _means_secret(word, words[:at], words[at + 1 :]) for at, word in enumerate(words)
    )


def is_secret_parameter(name: str) -> bool:
    """Whether the value of this URL parameter is secret."""
    return name.lower() in _IN_QUERY or is_secret(name)


def _means_secret(word: str, before: list[str], after: list[str]) -> bool:
    match word:
        case "key" | "keys":
            return _is_opening_key(word, before, after)
        case "token":
            return not (_TEXT.intersection(before) or after[-1:] in (["id"], ["ids"]))
        case "tokens":
            return bool(_HOLDERS.intersection(before))
        case "pass":
            return not after and not _PASSES.intersection(before)
        case "signature" | "signatures":
            return not _CODE.intersection(before)
        case _:
            return _SECRET.fullmatch(word) is not None or _JOINED.fullmatch(word) is not None


def _is_opening_key(word: str, before: list[str], after: list[str]) -> bool:
    if _KEY_HEADS.intersection(before[-1:]):
        return True
    return word == "key" and not _FINDING.intersection(before) and _KEY_TAILS.issuperset(after)
