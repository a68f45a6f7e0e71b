package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
)

// Request describes a new endpoint.
type Request struct {
	URL, Description string
	// Types is empty for all.
	Types []string
	// Disabled creates it without sending anything yet.
	Disabled bool
	// By is who creates it.
	By creator.Creator
}

// Update describes the changes of an endpoint. Nil fields do not change.
type Update struct {
	URL, Description *string
	Types            *[]string
	Enabled          *bool
}

// Create creates an endpoint and returns its secret, which cannot be shown again. The endpoint gets
// the events from the commit on. Create returns INVALID_REQUEST with all errors at once. If the
// account has too many endpoints, the transaction ends with a CONFLICT.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req Request) (Endpoint, string, error) {
	c := checker{s: s}
	c.url(req.URL)
	c.description(req.Description)
	types := c.types(req.Types)
	if err := apierr.Invalid(c.errs).OrNil(); err != nil {
		return Endpoint{}, "", err
	}
	w := Endpoint{
		ID: s.cfg.IDs.New(id.Webhook), Account: account, URL: req.URL, Description: req.Description, Types: types,
		Enabled: !req.Disabled, Status: Enabled, CreatedAt: tx.Now,
		CreatedBy: req.By,
	}
	if req.Disabled {
		w.Status = Disabled
	}
	shown, sealed := s.newSecret(w.ID)
	if err := insertEndpoint(ctx, tx, w, sealed); err != nil {
		return Endpoint{}, "", err
	}
	tx.BeforeCommit(func(ctx context.Context) error {
		from, err := s.cfg.Events.Hold(ctx, tx, account)
		if err != nil {
			return err
		}
		n, err := countEndpoints(ctx, tx, account) // under the lock, so that concurrent creations count each other
		if err != nil {
			return err
		}
		if n > MaxPerAccount {
			return apierr.Full("webhooks", MaxPerAccount,
				"The account has %d webhooks, which is the maximum. Delete one first, or send more events to one "+
					"of them.",
				MaxPerAccount)
		}
		return setCursor(ctx, tx, w.ID, from.Event)
	})
	return w, shown, nil
}

// Get returns one of the account's endpoints, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, webhook id.ID) (Endpoint, error) {
	row, found, err := findOwn(ctx, r, account, webhook)
	switch {
	case err != nil:
		return Endpoint{}, err
	case !found:
		return Endpoint{}, missing("webhook")
	}
	return row.shown(s.cfg.Clock.Now()), nil
}

// List returns a page of the account's endpoints, newest first.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Endpoint, db.Listed, error) {
	rows, of, err := listEndpoints(ctx, r, account, p)
	out := make([]Endpoint, len(rows))
	for i, row := range rows {
		out[i] = row.shown(s.cfg.Clock.Now())
	}
	return out, of, err
}

// Update changes an endpoint. Once enabled again, it continues where it stopped, with all events
// since then, and pending deliveries have their whole time again. Update returns INVALID_REQUEST
// with all errors at once, or NOT_FOUND.
func (s *Service) Update(ctx context.Context, tx *db.Tx, account, webhook id.ID, u Update) (Endpoint, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Endpoint{}, err
	}
	c := checker{s: s}
	if u.URL != nil {
		c.url(*u.URL)
		w.URL = *u.URL
	}
	if u.Description != nil {
		c.description(*u.Description)
		w.Description = *u.Description
	}
	if u.Types != nil {
		w.Types = c.types(*u.Types)
	}
	if err := apierr.Invalid(c.errs).OrNil(); err != nil {
		return Endpoint{}, err
	}
	if err := updateEndpoint(ctx, tx, w); err != nil {
		return Endpoint{}, err
	}
	switch {
	case u.Enabled == nil || *u.Enabled == w.Enabled:
	case *u.Enabled:
		if err := setState(ctx, tx, w.ID, Enabled); err != nil {
			return Endpoint{}, err
		}
		if err := requeue(ctx, tx, w.ID, tx.Now); err != nil {
			return Endpoint{}, err
		}
		// After the commit of every event whose transaction still saw it disabled.
		tx.BeforeCommit(func(ctx context.Context) error {
			if _, err := s.cfg.Events.Hold(ctx, tx, account); err != nil {
				return err
			}
			return s.cfg.Jobs.Enqueue(ctx, tx, account, KindSend, w.ID, tx.Now)
		})
	default:
		if err := setState(ctx, tx, w.ID, Disabled); err != nil {
			return Endpoint{}, err
		}
	}
	return s.Get(ctx, tx, account, webhook)
}

// Delete deletes an endpoint with its deliveries, and returns it, or NOT_FOUND. A request that has
// been sent may still arrive.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, webhook id.ID) (Endpoint, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Endpoint{}, err
	}
	return w, deleteEndpoint(ctx, tx, w.ID) // its job finds nothing and ends
}

// RotateSecret gives the endpoint a new secret and returns it; it cannot be shown again. The
// previous one also signs for another day. It returns NOT_FOUND if there is no such endpoint.
func (s *Service) RotateSecret(ctx context.Context, tx *db.Tx, account, webhook id.ID) (Endpoint, string, error) {
	if _, err := s.Get(ctx, tx, account, webhook); err != nil {
		return Endpoint{}, "", err
	}
	shown, sealed := s.newSecret(webhook)
	if err := rotate(ctx, tx, webhook, sealed, tx.Now.Add(Overlap)); err != nil {
		return Endpoint{}, "", err
	}
	w, err := s.Get(ctx, tx, account, webhook)
	return w, shown, err
}

// prefix begins a secret, by the specification.
const prefix = "whsec_"

// newSecret returns a secret as it is shown and as it is stored.
func (s *Service) newSecret(of id.ID) (shown, sealed string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return prefix + base64.StdEncoding.EncodeToString(raw), s.cfg.Secrets.Seal(purpose(of), raw)
}

func purpose(of id.ID) string { return "webhook/" + string(of) }

// checker collects the errors of a request.
type checker struct {
	s    *Service
	errs []apierr.FieldError
}

func (c *checker) add(field, format string, args ...any) {
	c.errs = append(c.errs, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) url(u string) {
	if wrong := c.s.cfg.Check(u); wrong != "" {
		c.add("url", "%s", wrong)
	}
}

func (c *checker) description(d string) {
	c.errs = append(c.errs, apierr.CheckText("description", d, MaxDescription)...)
}

// types returns each type once.
func (c *checker) types(given []string) []string {
	out := []string{}
	if len(given) > MaxTypes {
		c.add("types", "has %d entries; at most %d are allowed.", len(given), MaxTypes)
		return out
	}
	for i, t := range given {
		switch {
		case event.Mistyped(t, true) != "":
			c.add(fmt.Sprintf("types[%d]", i), "%s", event.Mistyped(t, true))
		case !slices.Contains(out, t):
			out = append(out, t)
		}
	}
	return out
}

// wants reports whether the endpoint wants events of the type.
func (w Endpoint) wants(kind string) bool {
	return len(w.Types) == 0 || slices.ContainsFunc(w.Types, func(t string) bool {
		beginning, star := strings.CutSuffix(t, "*")
		return t == kind || star && strings.HasPrefix(kind, beginning)
	})
}

// shown returns the endpoint for its tenant at that time.
func (r row) shown(now time.Time) Endpoint {
	w := r.Endpoint
	w.Enabled = w.Status == Enabled
	if w.OldSecretUntil != nil && !now.Before(*w.OldSecretUntil) {
		w.OldSecretUntil = nil
	}
	return w
}

// secrets returns the secrets that sign at that time, newest first.
func (s *Service) secrets(r row, now time.Time) ([][]byte, error) {
	sealed := []string{r.secret}
	if r.OldSecretUntil != nil && now.Before(*r.OldSecretUntil) {
		sealed = append(sealed, r.oldSecret)
	}
	var out [][]byte
	for _, text := range sealed {
		raw, err := s.cfg.Secrets.Open(purpose(r.ID), text)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

// Sealed are the columns with sealed texts.
var Sealed = []secret.Column{
	{Table: "webhook", Column: "secret", Key: "id", Purpose: purposeOf},
	{Table: "webhook", Column: "old_secret", Key: "id", Purpose: purposeOf},
}

func purposeOf(endpoint string) string { return purpose(id.ID(endpoint)) }
