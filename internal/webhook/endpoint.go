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
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
)

// Request says what a new endpoint shall be.
type Request struct {
	URL, Description string
	// Types are none for all.
	Types []string
	// Disabled makes it without sending anything yet.
	Disabled bool
}

// Update says what of an endpoint shall change; nil leaves as it is.
type Update struct {
	URL, Description *string
	Types            *[]string
	Enabled          *bool
}

// Create makes an endpoint and returns its secret, which nobody can learn again. It gets the events from the commit on. It is
// INVALID_REQUEST with all faults at once, and a CONFLICT, when the transaction ends, where the account has too many.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, req Request) (Endpoint, string, error) {
	c := checker{s: s}
	c.url(req.URL)
	c.description(req.Description)
	types := c.types(req.Types)
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Endpoint{}, "", err
	}
	w := Endpoint{
		ID: s.c.IDs.New(id.Webhook), Account: account, URL: req.URL, Description: req.Description, Types: types,
		Enabled: !req.Disabled, Status: Enabled, CreatedAt: tx.Now,
	}
	if req.Disabled {
		w.Status = Disabled
	}
	shown, sealed := s.newSecret(w.ID)
	if err := insertEndpoint(ctx, tx, w, sealed); err != nil {
		return Endpoint{}, "", err
	}
	tx.BeforeCommit(func(ctx context.Context) error {
		from, err := s.c.Events.Hold(ctx, tx, account)
		if err != nil {
			return err
		}
		n, err := countEndpoints(ctx, tx, account) // under the lock, so that of two at once both are counted
		if err != nil {
			return err
		}
		if n > MaxPerAccount {
			return apierr.Full("webhooks", MaxPerAccount, "The account has %d webhooks, which is the most. Delete one first, or send more to one of them.", MaxPerAccount)
		}
		return setCursor(ctx, tx, w.ID, from.Event)
	})
	return w, shown, nil
}

// Get returns one of the account's endpoints, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, webhook id.ID) (Endpoint, error) {
	row, found, err := s.find(ctx, r, webhook)
	switch {
	case err != nil:
		return Endpoint{}, err
	case !found || row.Account != account:
		return Endpoint{}, missing("webhook")
	}
	return row.shown(s.c.Clock.Now()), nil
}

// List returns a page of the account's endpoints, newest first, and how many there are.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, p db.Page) ([]Endpoint, db.Listed, error) {
	rows, of, err := s.listEndpoints(ctx, r, account, p)
	out := make([]Endpoint, len(rows))
	for i, row := range rows {
		out[i] = row.shown(s.c.Clock.Now())
	}
	return out, of, err
}

// Update changes an endpoint. Enabled anew it goes on where it stopped, with all that has happened meanwhile, and what is still
// pending has its whole time again. It answers INVALID_REQUEST with all faults at once, and NOT_FOUND.
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
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return Endpoint{}, err
	}
	if err := updateEndpoint(ctx, tx, w); err != nil {
		return Endpoint{}, err
	}
	switch {
	case u.Enabled == nil || *u.Enabled == w.Enabled:
	case *u.Enabled:
		if err := setState(ctx, tx, w.ID, Enabled, ""); err != nil {
			return Endpoint{}, err
		}
		if err := requeue(ctx, tx, w.ID, tx.Now); err != nil {
			return Endpoint{}, err
		}
		tx.BeforeCommit(func(ctx context.Context) error { // behind every event whose writer still saw it disabled
			if _, err := s.c.Events.Hold(ctx, tx, account); err != nil {
				return err
			}
			return s.c.Jobs.Enqueue(ctx, tx, account, KindSend, w.ID, tx.Now)
		})
	default:
		if err := setState(ctx, tx, w.ID, Disabled, ""); err != nil {
			return Endpoint{}, err
		}
	}
	return s.Get(ctx, tx, account, webhook)
}

// Delete removes an endpoint with its deliveries, and returns it as it was, or NOT_FOUND. A request under way may still arrive.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, webhook id.ID) (Endpoint, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Endpoint{}, err
	}
	return w, deleteEndpoint(ctx, tx, w.ID) // its job finds nothing and ends
}

// RotateSecret gives the endpoint a new secret and returns it; nobody can learn it again. The one before signs, too, for
// another day. NOT_FOUND where there is no such endpoint.
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

// prefix is how the specification has secrets begin.
const prefix = "whsec_"

// newSecret returns a secret as it is shown, and as it is kept.
func (s *Service) newSecret(of id.ID) (shown, sealed string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return prefix + base64.StdEncoding.EncodeToString(raw), s.c.Secrets.Seal(purpose(of), raw)
}

func purpose(of id.ID) string { return "webhook/" + string(of) }

// checker gathers what is wrong.
type checker struct {
	s      *Service
	faults []apierr.FieldError
}

func (c *checker) fault(field, format string, args ...any) {
	c.faults = append(c.faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) url(u string) {
	if wrong := c.s.c.Check(u); wrong != "" {
		c.fault("url", "%s", wrong)
	}
}

func (c *checker) description(d string) {
	c.faults = append(c.faults, apierr.CheckText("description", d, MaxDescription)...)
}

// types returns each type once.
func (c *checker) types(given []string) []string {
	out := []string{}
	if len(given) > MaxTypes {
		c.fault("types", "has %d entries; at most %d are allowed.", len(given), MaxTypes)
		return out
	}
	for i, t := range given {
		switch {
		case event.Mistyped(t, true) != "":
			c.fault(fmt.Sprintf("types[%d]", i), "%s", event.Mistyped(t, true))
		case !slices.Contains(out, t):
			out = append(out, t)
		}
	}
	return out
}

// wants tells whether the endpoint is sent events of the type.
func (w Endpoint) wants(kind string) bool {
	return len(w.Types) == 0 || slices.ContainsFunc(w.Types, func(t string) bool {
		beginning, star := strings.CutSuffix(t, "*")
		return t == kind || star && strings.HasPrefix(kind, beginning)
	})
}

// shown is the row for its tenant at that time.
func (r row) shown(now time.Time) Endpoint {
	w := r.Endpoint
	w.Enabled = w.Status == Enabled
	if w.OldSecretUntil != nil && !now.Before(*w.OldSecretUntil) {
		w.OldSecretUntil = nil
	}
	return w
}

// secrets are those that sign at that time, newest first.
func (s *Service) secrets(r row, now time.Time) ([][]byte, error) {
	sealed := []string{r.secret}
	if r.OldSecretUntil != nil && now.Before(*r.OldSecretUntil) {
		sealed = append(sealed, r.oldSecret)
	}
	var out [][]byte
	for _, text := range sealed {
		raw, err := s.c.Secrets.Open(purpose(r.ID), text)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}
