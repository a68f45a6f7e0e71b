package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/installation"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/stripe"
	"github.com/billetcloud/billet/internal/settings"
)

// stripeSource makes the client of Stripe from the settings, and again when they have changed.
type stripeSource struct {
	db       *db.DB
	ids      *id.Maker
	settings *settings.Service
	url      string // "" for Stripe's own
	// now is the clock of the fake at url; nil for real time, which Stripe has.
	now func() time.Time

	mu   sync.Mutex
	of   string // what made was made of
	made *stripe.Processor
}

// get returns the client. It returns payment.ErrUnsupported without a key. It must not be called
// inside a transaction.
func (s *stripeSource) get(ctx context.Context) (*stripe.Processor, error) {
	set, err := s.settings.Current(ctx)
	if err != nil {
		return nil, err
	}
	key, secrets, err := s.settings.StripeSecrets(set)
	if err != nil {
		return nil, err
	}
	if key == "" || len(secrets) == 0 {
		return nil, fmt.Errorf("%w: Stripe has no key or no webhook secret in the settings", payment.ErrUnsupported)
	}
	of := strings.Join(append([]string{set.Installation.Name, key}, secrets...), "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == of {
		return s.made, nil
	}
	name, err := s.installation(ctx)
	if err != nil {
		return nil, err
	}
	made, err := stripe.New(stripe.Config{
		Key: key, WebhookSecrets: secrets, Installation: name, Name: set.Installation.Name, BaseURL: s.url,
		Now: s.now,
	})
	if err != nil {
		return nil, err
	}
	s.of, s.made = of, made
	return made, nil
}

// installation returns the database's own name, with which its payments at Stripe are marked.
func (s *stripeSource) installation(ctx context.Context) (name string, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		name, err = installation.Name(ctx, tx, s.ids)
		return err
	})
	return name, err
}

// CheckPayments asks Stripe whether the stored key is accepted and may read what payments need, and
// reports whether it is one of live mode. It returns payment.ErrUnsupported without a key.
func (o *Operator) CheckPayments(ctx context.Context) (live bool, err error) {
	live, refused, err := o.checkPayments(ctx)
	return live, errors.Join(refused, err)
}

// checkPayments is CheckPayments with what Stripe refuses apart from what failed here.
func (o *Operator) checkPayments(ctx context.Context) (live bool, refused, err error) {
	p, err := o.services.payments.stripe.get(ctx)
	if err != nil {
		return false, nil, err
	}
	return p.Live(), p.Check(ctx), nil
}
