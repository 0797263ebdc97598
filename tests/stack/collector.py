"""A collector of OTLP over gRPC, which keeps all spans in memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_rpc


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        outer = self

        class Traces(traces_rpc.TraceServiceServicer):  # type: ignore[misc]
            def Export(self, request: Any, context: object) -> Any:
                outer.spans += [*_spans(request)]
                return traces.ExportTraceServiceResponse()

        class Logs(logs_rpc.LogsServiceServicer):  # type: ignore[misc]
            def Export(self, request: object, context: object) -> Any:
                return logs.ExportLogsServiceResponse()

        self.server = grpc.server(ThreadPoolExecutor(4))
        traces_rpc.add_TraceServiceServicer_to_server(Traces(), self.server)
        logs_rpc.add_LogsServiceServicer_to_server(Logs(), self.server)
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]


def _spans(request: Any) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = next(it.value.string_value for it in resource.resource.attributes if it.key == "service.name")
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Span(service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())


@contextmanager
def collector() -> Iterator[Collector]:
    made = Collector()
    made.server.start()
    try:
        yield made
    finally:
        made.server.stop(None).wait()
