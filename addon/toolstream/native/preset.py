"""Arguments of a server's call that came in place of its tool's name."""

from ..grammar.text import joined
from ..schema.json_read import Json, loads_object
from ..schema.json_write import dump
from .reader import ArgumentsReader, Around, Findings


class PresetArguments(Around):
    """Reads arguments as `inner` does, and adds the members of `preset` that they lack before their last
    bracket."""

    def __init__(self, inner: ArgumentsReader, preset: Json, findings: Findings) -> None:
        super().__init__(inner)
        self._preset, self._findings = preset, findings
        self._given_out: list[str] = []
        findings.changed = True  # without these members it says less

    def feed(self, text: str) -> str:
        return self._filled(self._inner.feed(text))

    def close(self, stopped: bool) -> str:
        return self._filled(self._inner.close(stopped))

    def _filled(self, out: str) -> str:
        """The text to give out now, with the members added if it contains the end of the object."""
        self._given_out.append(out)
        if not (self._preset and self._findings.complete):
            return out
        given = loads_object(joined("".join(self._given_out))) or {}
        missing = {key: value for key, value in self._preset.items() if key not in given}
        self._preset, self._given_out, end = {}, [], out.rfind("}")
        if not missing:
            return out
        self._findings.set_complete(end >= 0)
        return out[:end] + (", " if given else "") + dump(missing)[1:-1] + out[end:] if end >= 0 else out
