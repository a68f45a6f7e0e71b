package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/danielgtaylor/huma/v2"
)

// answer is a whole response, before a byte of it is written.
type answer = idempotency.Answer

// door says who may come in.
type door int

const (
	doorKey      door = iota // an API key, or a signed-in user
	doorUser                 // a signed-in user only
	doorOpen                 // anybody; limited by address
	doorProbe                // anybody, often; limited by address
	doorAnyKey               // an API key, whatever its scopes, and no user
	doorOperator             // an API key with an operator's scope, of whatever account, or a signed-in operator
)

// spec is what a route's author writes down. The OpenAPI document is made of it.
type spec struct {
	method, path string
	id           string // operationId
	tag          string
	summary      string
	text         string
	door         door
	scope        account.Scope // needed of an API key, or of a signed-in user's role
	alone        bool          // manages its own transactions, so that an Idempotency-Key means nothing to it
	anyQuery     bool          // ignores query parameters that it does not know: others write them
	secret       bool          // the answer shows what nobody may learn again
	deploy       bool          // counts as a deploy
	csv          bool          // success may be text/csv, too
	stream       bool          // success may be text/event-stream, too
	upgrade      bool          // success is a WebSocket
	oauth        bool          // takes a form and answers without an envelope, errors in the form of RFC 6749
	status       int           // of success; 200 where it is 0
	also         []int         // further statuses of success
	// errors are the codes beyond those that every route of its kind can answer.
	errors []apierr.Code
	// long is how much longer than requestTime the call may take.
	long time.Duration
}

// route is one line of the API.
type route struct {
	spec
	in    *input
	out   *huma.Schema
	list  bool
	serve func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error)
}

// call is one request under way.
type call struct {
	request *http.Request
	route   *route
	id      id.ID
	account id.ID
	key     *account.Key     // nil for a signed-in user
	user    *account.User    // nil for an API key
	session *account.Session // of the user
	token   string           // of the session

	// status and header may be set by a handler to change the answer.
	status int
	header map[string]string
	// cookies are sent with an answer that is no failure.
	cookies []string

	note   note   // what the audit says of the change
	deploy *taken // the place that a deploy has taken among those of its minute

	err error // what the call failed of, for the log
}

// keyID is the API key that calls; "" where a user does.
func (c *call) keyID() id.ID {
	if c.key == nil {
		return ""
	}
	return c.key.ID
}

// page are the parameters of every list.
type page struct {
	Page    int    `query:"page" minimum:"1" maximum:"100000" doc:"Which page, from 1." default:"1"`
	Limit   *int   `query:"limit" minimum:"1" maximum:"100" doc:"Entries on a page; 20 if left out."`
	PerPage *int   `query:"per_page" minimum:"1" maximum:"100" doc:"Another name of limit."`
	Cursor  string `query:"cursor" maxLength:"2000" doc:"The nextCursor of the page before, in place of page, with the same filters and sort: the page begins exactly after that one, also where entries have come or gone since, and costs the same however far it is."`
}

func (p page) check() []apierr.FieldError {
	var faults []apierr.FieldError
	if p.Limit != nil && p.PerPage != nil && *p.Limit != *p.PerPage {
		faults = append(faults, apierr.FieldError{Field: "query.per_page", Message: "contradicts limit; give one of them."})
	}
	if p.Cursor != "" && p.Page > 1 {
		faults = append(faults, apierr.FieldError{Field: "query.cursor", Message: "contradicts page; give one of them."})
	}
	return faults
}

func (p page) cursor() string { return p.Cursor }

func (p page) of() db.Page {
	out := db.Page{Number: max(p.Page, 1), Limit: 20}
	if p.Limit != nil {
		out.Limit = *p.Limit
	} else if p.PerPage != nil {
		out.Limit = *p.PerPage
	}
	return out
}

// sorting are the parameters of lists that can be sorted by time and name.
type sorting struct {
	Sort      string `query:"sort" enum:"createdAt,-createdAt,name,-name" doc:"With a leading hyphen downwards; -createdAt if left out."`
	SortBy    string `query:"sortBy" enum:"createdAt,name" doc:"Another way to sort, with sortOrder."`
	SortOrder string `query:"sortOrder" enum:"asc,desc" doc:"For sortBy; asc if left out."`
}

func (q sorting) check() []apierr.FieldError { return checkSort(q.Sort, q.SortBy, q.SortOrder) }

// order is how the rooms call what was asked for.
func (q sorting) order() db.Order {
	switch sorted(q.Sort, q.SortBy, q.SortOrder) {
	case "createdAt":
		return db.OldestFirst
	case "name":
		return db.ByName
	case "-name":
		return db.ByNameDown
	default:
		return db.NewestFirst
	}
}

// listQuery are the parameters of lists that can be sorted and have no filters.
type listQuery struct {
	page
	sorting
}

func (q listQuery) check() []apierr.FieldError { return append(q.page.check(), q.sorting.check()...) }

func checkSort(sort, by, order string) (faults []apierr.FieldError) {
	if sort != "" && by != "" {
		faults = append(faults, apierr.FieldError{Field: "query.sortBy", Message: "contradicts sort; give one of them."})
	}
	if order != "" && by == "" {
		faults = append(faults, apierr.FieldError{Field: "query.sortOrder", Message: "needs sortBy; or give sort with a leading hyphen for downwards."})
	}
	return faults
}

// sorted is the one sort that was asked for in either way, "" for none.
func sorted(sort, by, order string) string {
	switch {
	case by == "":
		return sort
	case order == "desc":
		return "-" + by
	default:
		return by
	}
}

type paged interface {
	of() db.Page
	cursor() string
}

// pagination is what a list says of itself.
type pagination struct {
	Page         int     `json:"page" doc:"This page, from 1."`
	Limit        int     `json:"limit" doc:"Entries on a page."`
	Total        int     `json:"total" doc:"Entries on all pages, counted up to 10,000; totalIsExact tells whether there may be more. With a cursor it is what was counted for the first page."`
	TotalPages   int     `json:"totalPages" doc:"How many pages there are, where totalIsExact; else at least so many."`
	TotalIsExact bool    `json:"totalIsExact" doc:"False where there may be more entries than total."`
	NextCursor   *string `json:"nextCursor" doc:"Give it as cursor for the page after this one; null on the last page. A page may have fewer entries than limit, or none, and yet a next one: a filter without an index looks through 10,000 entries at a time."`
}

type listEnvelope struct {
	Success    bool       `json:"success"`
	Data       any        `json:"data"`
	Pagination pagination `json:"pagination"`
}

type envelope struct {
	Success bool `json:"success"`
	Data    any  `json:"data"`
}

// read adds a route whose handler only reads, or which manages its own transactions.
func read[In, Out any](s *server, o spec, h func(ctx context.Context, c *call, in *In) (Out, error)) {
	s.add(o, reflect.TypeFor[In](), reflect.TypeFor[Out](), false, func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		in := new(In)
		d, err := c.route.in.decode(w, c.request, in)
		if err == nil {
			err = apierr.Invalid(d.faults).OrNil()
		}
		if err == nil {
			err = s.stillAfterBody(ctx, c)
		}
		if err != nil {
			return answer{}, err
		}
		out, err := h(ctx, c, in)
		if err != nil {
			return answer{}, err
		}
		if o.oauth {
			return c.success(out), nil
		}
		return c.success(envelope{true, out}), nil
	})
}

// list adds a route that answers a page of items and how many there are.
func list[In paged, Item any](s *server, o spec, h func(ctx context.Context, c *call, in *In, p db.Page) ([]Item, db.Listed, error)) {
	s.add(o, reflect.TypeFor[In](), reflect.TypeFor[Item](), true, func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		in := new(In)
		d, err := c.route.in.decode(w, c.request, in)
		if err == nil {
			err = apierr.Invalid(d.faults).OrNil()
		}
		if err != nil {
			return answer{}, err
		}
		return listed(c, *in, func(p db.Page) ([]Item, db.Listed, error) { return h(ctx, c, in, p) })
	})
}

// write adds a route whose handler changes something, in one transaction that the route opens. The handler may be run
// again, or be rolled back although it succeeded: it has no effect outside the transaction.
func write[In, Out any](s *server, o spec, h func(ctx context.Context, tx *db.Tx, c *call, in *In) (Out, error)) {
	s.add(o, reflect.TypeFor[In](), reflect.TypeFor[Out](), false, func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		in := new(In)
		d, err := c.route.in.decode(w, c.request, in)
		if err == nil {
			err = s.stillAfterBody(ctx, c)
		}
		if err != nil {
			return answer{}, err
		}
		return s.change(ctx, c, d, func(ctx context.Context, tx *db.Tx) (answer, error) {
			c.status, c.header, c.cookies, c.note = 0, nil, nil, note{} // of an earlier run
			out, err := h(ctx, tx, c, in)
			if err == nil {
				err = s.record(ctx, tx, c)
			}
			if err != nil {
				return answer{}, err
			}
			return c.success(envelope{true, out}), nil
		})
	})
}

// success makes the answer of an envelope.
func (c *call) success(v any) answer {
	a := answer{Status: c.status, Header: c.header, Body: encode(v)}
	if a.Status == 0 {
		a.Status = c.route.status
	}
	return a
}

func (c *call) setHeader(name, value string) {
	if c.header == nil {
		c.header = map[string]string{}
	}
	c.header[name] = value
}

// created points to what a POST has made, for the client and the audit.
func (c *call) created(what id.ID) {
	c.setHeader("Location", strings.TrimSuffix(c.request.URL.Path, "/")+"/"+string(what))
	c.note.subject = what
}

// none is the input of a call without parameters.
type none struct{}
