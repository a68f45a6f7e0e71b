package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// ReadVersioned registers a GET of one thing that PATCH, PUT or DELETE of the same path changes.
// Its responses have an ETag, and those operations, which are registered after it, accept If-Match.
//
// The handler reads from r. In the transaction of a change it locks the row it reads
// (db.ForUpdate), so that what If-Match found stays true until the commit.
func ReadVersioned[In, Out any](
	rr *Router, o Operation, h func(ctx context.Context, r db.Reader, c *Call, in *In) (Out, error),
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
		out, err := h(ctx, rr.cfg.DB, c, in)
		if err != nil {
			return Answer{}, err
		}
		c.tag(out)
		return c.unlessKnown(c.success(envelope{true, out})), nil
	}
	rt := &Route{Operation: o, serve: serve, version: reflect.TypeFor[Out]()}
	rt.current = func(ctx context.Context, r db.Reader, c *Call) (string, error) {
		in := new(In)
		get := c.Request.Clone(ctx)
		get.Method, get.Body, get.URL.RawQuery = http.MethodGet, http.NoBody, ""
		if d, err := rt.in.decode(nil, get, in); err != nil || len(d.invalid) > 0 {
			panic("rest: " + rt.ID + " cannot be called without parameters")
		}
		out, err := h(ctx, r, c, in)
		return tagOf(out), err
	}
	return rr.add(rt, reflect.TypeFor[In](), rt.version)
}

// tagOf is the ETag of a response with that data.
func tagOf(data any) string {
	sum := sha256.Sum256(Encode(data))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// tag sets the ETag of a response with that data.
func (c *Call) tag(data any) { c.SetHeader("ETag", tagOf(data)) }

// unlessKnown replaces a response that the client has already, as If-None-Match says.
func (c *Call) unlessKnown(a Answer) Answer {
	known, _ := tags(c.Request.Header.Values("If-None-Match"))
	for i, t := range known {
		known[i] = strings.TrimPrefix(t, "W/") // a weak comparison is enough for reading
	}
	if slices.Contains(known, "*") || slices.Contains(known, a.Header["ETag"]) {
		a.Status, a.Body = http.StatusNotModified, nil
	}
	return a
}

// tags splits a list of ETags. It returns false where the text is no such list.
func tags(values []string) (list []string, valid bool) {
	if len(values) == 1 && strings.TrimSpace(values[0]) == "*" {
		return []string{"*"}, true
	}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") { // an ETag of ours has no comma
		part = strings.TrimSpace(part)
		quoted, opens := strings.CutPrefix(strings.TrimPrefix(part, "W/"), `"`)
		if inner, closes := strings.CutSuffix(quoted, `"`); !opens || !closes || strings.Contains(inner, `"`) {
			return nil, false
		}
		list = append(list, part)
	}
	return list, true
}

// conditional is the GET of the path whose ETag the route compares with If-Match; nil where the
// route has none.
func (rr *Router) conditional(rt *Route) *Route {
	switch {
	case rt.unmanaged:
		return nil
	case rt.Method != http.MethodPatch && rt.Method != http.MethodPut && rt.Method != http.MethodDelete:
		return nil
	}
	get := rr.paths[rt.Path].routes[http.MethodGet]
	if get == nil || get.current == nil {
		return nil
	}
	return get
}

// unsupportedHeaders finds headers of a change that ask for more than the operation can promise.
func (c *Call) unsupportedHeaders() (invalid []apierr.FieldError) {
	if c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead {
		return nil // neither changes what a GET does
	}
	for _, name := range []string{"Idempotency-Key", "If-Match"} {
		if len(c.Request.Header.Values(name)) > 0 {
			invalid = append(invalid, unsupportedHeader(name))
		}
	}
	return invalid
}

func unsupportedHeader(name string) apierr.FieldError {
	return apierr.FieldError{Field: "header." + name, Message: "is not supported by this operation; omit it."}
}

// precondition decodes If-Match. The function checks it within the transaction of the change.
func (c *Call) precondition() (check func(ctx context.Context, tx *db.Tx) error, invalid []apierr.FieldError) {
	values := c.Request.Header.Values("If-Match")
	if len(values) == 0 {
		return func(context.Context, *db.Tx) error { return nil }, nil
	}
	wanted, valid := tags(values)
	switch {
	case c.Route.get == nil:
		return nil, []apierr.FieldError{unsupportedHeader("If-Match")}
	case !valid:
		return nil, []apierr.FieldError{{
			Field: "header.If-Match", Message: "must be an ETag as GET returned it, in its quotes, or *.",
		}}
	}
	return func(ctx context.Context, tx *db.Tx) error {
		now, err := c.Route.get.current(ctx, tx, c)
		if err != nil {
			return err
		}
		if slices.Contains(wanted, "*") || slices.Contains(wanted, now) {
			return nil
		}
		return apierr.New(apierr.PreconditionFailed,
			"It was changed since you read it: its ETag is no longer the one in If-Match. Get it again, then repeat "+
				"the change with its new ETag.")
	}, nil
}
