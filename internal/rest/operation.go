package rest

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/danielgtaylor/huma/v2"
)

// AuthMode is who may call an operation.
type AuthMode int

const (
	// APIKeyOrSession accepts an API key with the operation's scope, or a signed-in user whose role
	// has it.
	APIKeyOrSession AuthMode = iota
	// SessionOnly accepts a signed-in user. Where the operation has a scope, the user's role must
	// have it.
	SessionOnly
	// APIKeyOnly accepts an API key, whatever its scopes.
	APIKeyOnly
	// OperatorOnly accepts an API key with an operator scope, of whatever account, or a signed-in
	// operator.
	OperatorOnly
	// Public accepts every request. It is counted by address.
	Public
)

// RateClass is which limit a call counts against.
type RateClass int

const (
	// ByMethod counts a GET as a read and every other method as a write.
	ByMethod RateClass = iota
	// Deploy counts as a deploy.
	Deploy
	// AsRead counts as a read, whatever the method: for POSTs that change nothing.
	AsRead
	// Probe is for Public operations that monitoring calls often.
	Probe
)

// Operation declares one operation of the API. The OpenAPI document is generated from it.
type Operation struct {
	Method, Path string
	ID           string // operationId
	Tag          string
	Summary      string
	Description  string
	Auth         AuthMode
	Scope        string // needed of an API key, or of a signed-in user's role
	Rate         RateClass

	// IgnoreUnknownQuery accepts query parameters that are not declared: another site adds them.
	IgnoreUnknownQuery bool
	// Secret marks responses that show a secret once. Kept ones are encrypted.
	Secret bool
	// OAuth accepts a form and answers without an envelope, and errors in the form of RFC 6749.
	OAuth bool
	// Warns adds warnings to the response of a list (Call.Warn).
	Warns bool
	// CSV and Stream add text/csv and text/event-stream to the responses. Upgrade makes success a
	// WebSocket.
	CSV, Stream, Upgrade bool
	// Media are the types of files that the operation also answers with.
	Media []string
	// Status is that of success, 200 if it is 0. AlsoStatus are further ones.
	Status     int
	AlsoStatus []int
	// Errors are the codes beyond those that every operation of its kind can answer.
	Errors []apierr.Code
	// MayLag marks reports on the past, which a replica of the database may serve (db.MayLag).
	MayLag bool
	// ExtraTime is how much longer than Config.Timeout the call may take.
	ExtraTime time.Duration
	// Alternatives are groups of body fields of which one is required. A service names the first of
	// a group where it finds none of them.
	Alternatives [][]string
}

// Route is a registered operation.
type Route struct {
	Operation
	in        *input
	out       *huma.Schema
	list      bool
	unmanaged bool
	serve     ServeFunc
	// version is the type of a response with an ETag, and current returns the ETag that it would
	// have now; nil for operations without one.
	version reflect.Type
	current func(ctx context.Context, r db.Reader, c *Call) (string, error)
	// get is the GET whose ETag is compared with If-Match; nil for operations without If-Match.
	get *Route
}

// ServeFunc serves a call that was admitted. Where it writes a response by itself, its Answer does
// not count.
type ServeFunc func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error)

// Wrap puts a function around the route's own.
func (rt *Route) Wrap(around func(next ServeFunc) ServeFunc) { rt.serve = around(rt.serve) }

// Read registers an operation that only reads.
func Read[In, Out any](rr *Router, o Operation, h func(ctx context.Context, c *Call, in *In) (Out, error)) *Route {
	if o.Method != http.MethodGet {
		panic("rest: Read is for GET; " + o.ID + " changes something")
	}
	return unmanaged(rr, o, h)
}

// Unmanaged registers an operation that changes something and manages its own transactions. It can
// keep no response with them, so it refuses Idempotency-Key and If-Match instead of ignoring them.
// Its handler writes the audit entry with Call.Commit or Call.Record.
func Unmanaged[In, Out any](rr *Router, o Operation, h func(ctx context.Context, c *Call, in *In) (Out, error)) *Route {
	return unmanaged(rr, o, h)
}

func unmanaged[In, Out any](rr *Router, o Operation, h func(ctx context.Context, c *Call, in *In) (Out, error)) *Route {
	serve := func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error) {
		in := new(In)
		d, err := c.Route.in.decode(w, c.Request, in)
		if err == nil {
			err = apierr.Invalid(append(d.invalid, c.unsupportedHeaders()...)).OrNil()
		}
		if err == nil {
			err = rr.reauthorizeAfterBody(ctx, c)
		}
		if err != nil {
			return Answer{}, err
		}
		out, err := h(o.reads(ctx), c, in)
		if err != nil {
			return Answer{}, err
		}
		if o.OAuth {
			return c.success(out), nil
		}
		return c.success(envelope{true, out}), nil
	}
	return rr.add(&Route{Operation: o, unmanaged: true, serve: serve}, reflect.TypeFor[In](), reflect.TypeFor[Out]())
}

// Write registers an operation that changes something, in one transaction that the router opens,
// with its idempotency key and its audit entry. The handler may run again, or be rolled back
// although it succeeded: it has no effect outside the transaction.
func Write[In, Out any](
	rr *Router, o Operation, h func(ctx context.Context, tx *db.Tx, c *Call, in *In) (Out, error),
) *Route {
	if o.Auth == Public {
		panic("rest: " + o.ID + " has no account whose Idempotency-Key it could honor; register it with Unmanaged")
	}
	serve := func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error) {
		in := new(In)
		d, err := c.Route.in.decode(w, c.Request, in)
		if err == nil {
			err = rr.reauthorizeAfterBody(ctx, c)
		}
		if err != nil {
			return Answer{}, err
		}
		unchanged, invalid := c.precondition()
		d.invalid = append(d.invalid, invalid...)
		return rr.change(ctx, c, d, func(ctx context.Context, tx *db.Tx) (Answer, error) {
			c.Status, c.header, c.cookies, c.Change = 0, nil, nil, Change{} // of an earlier run
			if len(invalid) == 0 {
				if err := unchanged(ctx, tx); err != nil {
					return Answer{}, err
				}
			}
			out, err := h(ctx, tx, c, in)
			if err == nil {
				err = c.Record(ctx, tx)
			}
			if err != nil {
				return Answer{}, err
			}
			if c.Route.tagged() {
				c.tag(out)
			}
			return c.success(envelope{true, out}), nil
		})
	}
	return rr.add(
		&Route{Operation: o, serve: serve, version: reflect.TypeFor[Out]()},
		reflect.TypeFor[In](),
		reflect.TypeFor[Out](),
	)
}

// List registers an operation that answers a page of items and how many there are.
func List[In paged, Item any](
	rr *Router, o Operation, h func(ctx context.Context, c *Call, in *In, p db.Page) ([]Item, db.Listed, error),
) *Route {
	serve := func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error) {
		in := new(In)
		d, err := c.Route.in.decode(w, c.Request, in)
		if err == nil {
			err = apierr.Invalid(d.invalid).OrNil()
		}
		if err != nil {
			return Answer{}, err
		}
		return PageOf(c, *in, func(p db.Page) ([]Item, db.Listed, error) { return h(o.reads(ctx), c, in, p) })
	}
	return rr.add(&Route{Operation: o, list: true, serve: serve}, reflect.TypeFor[In](), reflect.TypeFor[Item]())
}

// CustomFunc serves a call and may write the response by itself. invalid is what is wrong with the
// request so far.
type CustomFunc[In any] func(
	ctx context.Context, w http.ResponseWriter, c *Call, in *In, invalid []apierr.FieldError,
) (Answer, error)

// CustomList registers a list that has another form, too, such as a stream or a table.
func CustomList[In paged, Item any](rr *Router, o Operation, h CustomFunc[In]) *Route {
	rt := &Route{Operation: o, list: true, serve: custom(o, h)}
	return rr.add(rt, reflect.TypeFor[In](), reflect.TypeFor[Item]())
}

// CustomRead registers a GET of one thing that has other forms, too, such as files.
func CustomRead[In, Out any](rr *Router, o Operation, h CustomFunc[In]) *Route {
	return rr.add(&Route{Operation: o, serve: custom(o, h)}, reflect.TypeFor[In](), reflect.TypeFor[Out]())
}

// Data is the response of a success with that data.
func (c *Call) Data(v any) Answer { return c.success(envelope{true, v}) }

// Upgrade registers an operation whose success is a WebSocket.
func Upgrade[In any](rr *Router, o Operation, h CustomFunc[In]) *Route {
	o.Upgrade = true
	return rr.add(&Route{Operation: o, serve: custom(o, h)}, reflect.TypeFor[In](), nil)
}

func custom[In any](o Operation, h CustomFunc[In]) ServeFunc {
	return func(ctx context.Context, w http.ResponseWriter, c *Call) (Answer, error) {
		in := new(In)
		d, err := c.Route.in.decode(w, c.Request, in)
		if err != nil {
			return Answer{}, err
		}
		return h(o.reads(ctx), w, c, in, d.invalid)
	}
}

// reads returns the context that handlers read with.
func (o Operation) reads(ctx context.Context) context.Context {
	if o.MayLag {
		return db.MayLag(ctx)
	}
	return ctx
}

// add makes a route: its place in the mux and in the document. A nil out is an operation without a
// body of success.
func (rr *Router) add(rt *Route, in, out reflect.Type) *Route {
	registry := rr.doc.Components.Schemas
	if rt.Status == 0 {
		rt.Status = http.StatusOK
	}
	if (rt.Auth == APIKeyOrSession || rt.Auth == OperatorOnly) && rt.Scope == "" {
		panic("rest: " + rt.ID + " needs a scope")
	}
	rt.in = newInput(registry, rr.cfg.ForeignNames, in)
	rt.in.anyQuery, rt.in.form = rt.IgnoreUnknownQuery, rt.OAuth
	if out != nil {
		rt.out = registry.Schema(out, true, rt.ID+"Result")
	}
	m := rr.paths[rt.Path]
	if m == nil {
		m = &methods{router: rr, routes: map[string]*Route{}}
		rr.paths[rt.Path] = m
		rr.mux.Handle(rt.Path, m)
		rr.own[rt.Path] = true
	}
	if m.routes[rt.Method] != nil {
		panic("rest: two routes for " + rt.Method + " " + rt.Path)
	}
	m.routes[rt.Method] = rt
	rt.get = rr.conditional(rt)
	allow := slices.Sorted(mapKeys(m.routes))
	if m.routes[http.MethodGet] != nil {
		allow = append(allow, http.MethodHead)
	}
	m.allow = strings.Join(allow, ", ")
	rr.doc.AddOperation(rr.operation(rt))
	return rt
}

// tagged reports whether responses have an ETag: those of a GET of one thing, and of a PATCH or
// PUT that returns the same.
func (rt *Route) tagged() bool {
	changed := rt.Method == http.MethodPatch || rt.Method == http.MethodPut
	return rt.current != nil || changed && rt.get != nil && rt.get.version == rt.version
}

// IsList reports whether the route answers pages.
func (rt *Route) IsList() bool { return rt.list }

// Replayed reports whether the route honors an Idempotency-Key.
func (rt *Route) Replayed() bool { return rt.Method != http.MethodGet && !rt.unmanaged }

type envelope struct {
	Success bool `json:"success"`
	Data    any  `json:"data"`
}

// NoInput is the input of an operation without parameters.
type NoInput struct{}

// EmptyBody is the input of an operation that takes an empty JSON object.
type EmptyBody struct {
	Body struct{}
}
