package rest

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
)

// Answer is a whole response, before a byte of it is written.
type Answer = idempotency.Answer

// Call is one request being served.
type Call struct {
	Request *http.Request
	// Route is the operation that is called; nil where no route was found.
	Route *Route
	// ID is the request id that the client and the log see.
	ID     id.ID
	Caller Caller
	// Change is what the audit entry of the call says.
	Change Change
	// Status replaces the operation's own status of success where a handler sets it.
	Status int

	router *Router
	header map[string]string
	// warnings are what a list reports beside its entries.
	warnings []apierr.FieldError
	cookies  []string // sent with a response that is no failure
	deploy   *taken   // the place that a deploy has taken among those of its minute
	err      error    // what the call failed of, for the log
	waits    bool     // Wait was called
}

// Caller is who makes a call, as Config.Authenticate found out.
type Caller struct {
	// Account is whose data the call reads and changes.
	Account id.ID
	// Key is the API key that calls; "" for a signed-in user.
	Key id.ID
	// Project is the only project that the caller sees; "" for all. It also answers nothing with
	// what was kept for a caller of another project.
	Project string
	// Bucket names the caller among the rate limits. Limits are the caller's.
	Bucket string
	Limits Limits
	// Secret is the credential itself. It seals kept responses that show a secret.
	Secret string
	// Identity is whatever Authenticate wants handlers to find.
	Identity any
}

// Limits are a caller's limits a minute.
type Limits struct{ Read, Write, Deploy int }

// Change describes the effect of a call for its audit entry, beyond what the call itself shows.
type Change struct {
	// Subject is what was changed; "" for what the path's {id} names.
	Subject id.ID
	// Subjects are what was changed where it is more than one: there is an entry for each.
	Subjects []id.ID
	// Name is the last name of what was deleted. Of what is still there it can be found later.
	Name string
	// Account is the account whose audit log gets the entry; "" for the caller's.
	Account id.ID
	// None reports that nothing was changed after all: there is no entry.
	None bool
}

// Wait says that the call waits for something to happen, as long polls and streams do: how long it
// takes is not how long the server needs.
func (c *Call) Wait() { c.waits = true }

// SetHeader sets a header of the response.
func (c *Call) SetHeader(name, value string) {
	if c.header == nil {
		c.header = map[string]string{}
	}
	c.header[name] = value
}

// Created points to what a POST has created, for the client and the audit entry.
func (c *Call) Created(what id.ID) {
	c.SetHeader("Location", strings.TrimSuffix(c.Request.URL.Path, "/")+"/"+string(what))
	c.Change.Subject = what
}

// Warn adds a warning to the response of a list: the request is valid, but probably not what the
// client means.
func (c *Call) Warn(w apierr.FieldError) { c.warnings = append(c.warnings, w) }

// Fail keeps the error for the log. A handler calls it where it answers an error in another form
// than the envelope.
func (c *Call) Fail(err error) { c.err = err }

// Discard drops the headers and cookies that were set so far.
func (c *Call) Discard() { c.header, c.cookies = nil, nil }

// Address is where the request came from.
func (c *Call) Address() netip.Addr { return c.router.Address(c.Request) }

// Record writes the audit entry of the call, in the transaction of its change.
func (c *Call) Record(ctx context.Context, tx *db.Tx) error {
	if c.Change.None {
		return nil
	}
	return c.router.cfg.Record(ctx, tx, c)
}

// Commit runs a change of an Unmanaged operation and writes its audit entry, in one transaction.
func (c *Call) Commit(ctx context.Context, subject id.ID, change func(ctx context.Context, tx *db.Tx) error) error {
	return c.router.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := change(ctx, tx); err != nil {
			return err
		}
		c.Change = Change{Subject: subject}
		return c.Record(ctx, tx)
	})
}

// PathID is the id, or the slug, that the path names as {id}; "" where it cannot be one.
func (c *Call) PathID() id.ID {
	form := idForm
	if c.Route != nil && c.Route.in != nil {
		form = c.Route.in.pathForm("id")
	}
	if text := c.Request.PathValue("id"); form.MatchString(text) {
		return id.ID(text)
	}
	return ""
}

// success makes the response of an envelope.
func (c *Call) success(v any) Answer {
	a := Answer{Status: c.Status, Header: c.header, Body: Encode(v)}
	if a.Status == 0 {
		a.Status = c.Route.Status
	}
	return a
}

// Timeout is how long a call may take without its operation's ExtraTime.
func (c *Call) Timeout() time.Duration { return c.router.cfg.Timeout }

// SameSiteWrite refuses a GET that does more than read where another website's page makes it with
// the user's cookie.
func (c *Call) SameSiteWrite() error {
	if c.Caller.Key != "" {
		return nil
	}
	as := c.Request.Clone(c.Request.Context())
	as.Method = http.MethodPost
	return c.router.SameSite(as)
}

// CountBytes adds bytes to the access log that a handler has sent over a connection of its own.
func (c *Call) CountBytes(w http.ResponseWriter, n int64) { w.(*recorder).bytes += n }

// IsID reports whether the text has the form of an id.
func IsID(text string) bool { return idForm.MatchString(text) }
