package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// maxSpans is how many spans wait for being sent; more are dropped.
const maxSpans = 4096

// Traces sends spans of requests, jobs and calls of providers by OTLP. A nil *Traces sends none and
// costs nothing.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// CheckEndpoint returns an error if the text is no URL for OTLP over HTTP.
func CheckEndpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" {
		return errors.New("must be the URL of an OTLP receiver over HTTP, such as http://localhost:4318")
	}
	return nil
}

// TracesConfig configures Traces.
type TracesConfig struct {
	// Endpoint is the base URL of the receiver, as OTEL_EXPORTER_OTLP_ENDPOINT has it: spans are
	// sent to v1/traces below it. It may have that at its end.
	Endpoint string
	Version  string
	// Share is how much is traced, from 0 to 1. What follows from a request is traced if the
	// request is.
	Share float64
	// Log gets the errors of sending.
	Log *slog.Logger
}

// OpenTraces returns Traces that sends to the receiver. It does not wait for it.
func OpenTraces(ctx context.Context, c TracesConfig) (*Traces, error) {
	if err := CheckEndpoint(c.Endpoint); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1/traces") {
		u = u.JoinPath("v1/traces")
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		c.Log.WarnContext(ctx, "traces could not be sent", "error", err)
	}))
	p := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(maxSpans)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Share))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "billetd"), attribute.String("service.version", c.Version),
		)),
	)
	return &Traces{provider: p, tracer: p.Tracer("github.com/billetcloud/billet")}, nil
}

// Close sends what is left, until the context ends.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Request begins the span of a request with that id. What it returns is called with the route and
// the status of the answer.
func (t *Traces) Request(r *http.Request, request id.ID) (context.Context, func(route, method string, status int)) {
	ctx, span := t.tracer.Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithNewRoot(), trace.WithAttributes(attribute.String("billet.request_id", string(request))))
	return remembered(ctx), func(route, method string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
}

var propagator propagation.TraceContext

// remembered returns a context whose jobs are enqueued with the present span.
func remembered(ctx context.Context) context.Context {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx
	}
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return job.WithTrace(ctx, carrier["traceparent"])
}

// run begins the span of a run: a part of the trace that enqueued the job, or the first of one.
func (t *Traces) run(ctx context.Context, r job.Run) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx = propagator.Extract(ctx, propagation.MapCarrier{"traceparent": r.Trace})
	ctx, span := t.tracer.Start(ctx, "job "+string(r.Kind), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("billet.job.kind", string(r.Kind)),
			attribute.String("billet.job.subject", string(r.Subject)),
			attribute.Int64("billet.job.attempt", r.Attempt)))
	return remembered(ctx), func(err error) { end(span, err) }
}

// call begins the span of a call of a provider.
func (t *Traces) call(ctx context.Context, slug string, call provider.Call) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, "provider "+string(call), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("billet.provider", slug),
			attribute.String("billet.provider.call", string(call))))
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(attribute.String("billet.provider.error", string(provider.KindOf(err))))
		}
		end(span, err)
	}
}

// end ends a span. The error's text may quote a cloud's answer, and is in the log: the span has
// none of it.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "see the log")
	}
	span.End()
}
