"""The counts for Prometheus, by its client library; without that there are no metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..optional import PROMETHEUS
from .stats import FIELDS, Counts, Stats

MISSING = (
    f"{PROMETHEUS.name} is not installed: pip install {PROMETHEUS.name}, into the environment of mitmproxy"
)


class NoMetricsError(Exception):
    """The client library is not installed."""


def exposition(
    stats: Stats, gauges: Mapping[str, tuple[str, float]], build: Mapping[str, str]
) -> tuple[bytes, str]:
    """Return the metrics as text, and their content type. `gauges` are {name: (help, value)}. Raises
    NoMetricsError."""
    library = PROMETHEUS.load()
    if library is None:
        raise NoMetricsError(MISSING)
    registry = library.CollectorRegistry(auto_describe=False)
    registry.register(_Collector(library.metrics_core, stats, gauges, build))
    return library.generate_latest(registry), library.CONTENT_TYPE_LATEST


class _Collector:
    """Gives the library the current numbers."""

    def __init__(
        self, core: Any, stats: Stats, gauges: Mapping[str, tuple[str, float]], build: Mapping[str, str]
    ) -> None:
        self._core = core
        self._stats = stats
        self._gauges = gauges
        self._build = build

    def collect(self) -> Iterator[Any]:
        yield self._core.InfoMetricFamily("qwen_fix_build", "Versions", value=dict(self._build))
        for name, (text, value) in self._gauges.items():
            yield self._core.GaugeMetricFamily(f"qwen_fix_{name}", text, value=value)
        yield self._outcomes("chats", "Chats by model and outcome", "model", self._stats.models)
        yield self._outcomes("client_chats", "Chats by client and outcome", "client", self._stats.clients)
        yield self._outcomes("api_chats", "Chats by API and outcome", "api", self._stats.apis)
        for name, text in _FLAGS.items():
            values = {model: counts.flags[name] for model, counts in self._stats.models.items()}
            yield self._by_model(f"{name}_chats", text, values)
        models = self._stats.models.items()
        yield self._by_model("calls", "Tool calls that clients got", {m: c.calls for m, c in models})
        yield self._by_model("answers", "Answers to requests with tools", {m: c.answers for m, c in models})
        yield self._named("repairs", "Repairs by kind", "repair", {m: c.repairs for m, c in models})
        yield self._named("refusals", "Candidates left as text", "reason", {m: c.refusals for m, c in models})
        durations = self._core.SummaryMetricFamily(
            "qwen_fix_chat_seconds", "Duration of chats", labels=["model"]
        )
        for model, counts in models:
            durations.add_metric([model], counts.chats, counts.seconds)
        yield durations

    def _outcomes(self, name: str, text: str, label: str, counted: Mapping[str, Counts]) -> Any:
        family = self._core.CounterMetricFamily(f"qwen_fix_{name}", text, labels=[label, "outcome"])
        for key, counts in counted.items():
            for kind in FIELDS:
                family.add_metric([key, str(kind)], counts.kinds[kind])
        return family

    def _by_model(self, name: str, text: str, values: Mapping[str, float]) -> Any:
        family = self._core.CounterMetricFamily(f"qwen_fix_{name}", text, labels=["model"])
        for model, value in values.items():
            family.add_metric([model], value)
        return family

    def _named(self, name: str, text: str, label: str, counted: Mapping[str, Mapping[Any, int]]) -> Any:
        family = self._core.CounterMetricFamily(f"qwen_fix_{name}", text, labels=["model", label])
        for model, counts in counted.items():
            for key, number in counts.items():
                family.add_metric([model, str(key)], number)
        return family


_FLAGS = {
    "streamed": "Chats that were streamed",
    "with_tools": "Chats whose request has tools",
    "leaked": "Chats with a call in the text, whether repaired or left",
    "damaged": "Chats without a leak in which calls that the server parsed were damaged",
    "truncated": "Chats that were cut off at the token limit",
}
