package payment

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// KindDetach is the job that removes a saved method at its processor. Its subject is the method.
const KindDetach job.Kind = "payment-method-detach"

// PaymentMethod is a saved method of payment.
type PaymentMethod struct {
	ID          id.ID     `json:"id" doc:"Id of the payment method, pmt_…"`
	Account     id.ID     `json:"-"`
	Processor   string    `json:"processor" doc:"Payment processor that stores it."`
	Type        string    `json:"type" example:"card" doc:"Kind of payment method."`
	Brand       string    `json:"brand" example:"visa" doc:"Brand of a card; empty for others."`
	Last4       string    `json:"last4" example:"4242" doc:"Last four characters of its number."`
	ExpiryMonth int64     `json:"expiryMonth" doc:"Month in which a card expires, from 1; 0 if it does not."`
	ExpiryYear  int64     `json:"expiryYear" doc:"Year in which a card expires; 0 if it does not."`
	CreatedAt   time.Time `json:"createdAt" doc:"When it was saved."`
}

// MaxMethods is the most saved methods that are listed of an account.
const MaxMethods = 50

var errNoMethod = apierr.New(apierr.NotFound,
	"No payment method has this id. List yours with GET /wallet/payment-methods.")

// Methods returns the account's saved methods, newest first, at most MaxMethods.
func (s *Service) Methods(ctx context.Context, r db.Reader, account id.ID) ([]PaymentMethod, error) {
	rows, err := methodsOf(ctx, r, account)
	out := make([]PaymentMethod, len(rows))
	for i, m := range rows {
		out[i] = m.PaymentMethod
	}
	return out, err
}

// Method returns a saved method, or NOT_FOUND.
func (s *Service) Method(ctx context.Context, r db.Reader, account, method id.ID) (PaymentMethod, error) {
	m, found, err := findMethod(ctx, r, method)
	if err == nil && (!found || m.Account != account || m.removedAt != nil) {
		err = errNoMethod
	}
	return m.PaymentMethod, err
}

// RemoveMethod removes a saved method. A job removes it at its processor. Without another one,
// automatic top-ups stop. It returns NOT_FOUND.
func (s *Service) RemoveMethod(ctx context.Context, tx *db.Tx, account, method id.ID) (PaymentMethod, error) {
	m, err := s.Method(ctx, tx, account, method)
	if err != nil {
		return m, err
	}
	if err := removeMethod(ctx, tx, method, tx.Now); err != nil {
		return m, err
	}
	if err := s.stopWithoutMethod(ctx, tx, account); err != nil {
		return m, err
	}
	return m, s.cfg.Jobs.Enqueue(ctx, tx, account, KindDetach, method, tx.Now)
}

func (s *Service) stopWithoutMethod(ctx context.Context, tx *db.Tx, account id.ID) error {
	left, err := methodsOf(ctx, tx, account)
	if err != nil || len(left) > 0 {
		return err
	}
	return s.stop(ctx, tx, account, reasonNoMethod)
}

// DetachMethod is the handler of KindDetach.
func (s *Service) DetachMethod(ctx context.Context, method id.ID) (job.Outcome, error) {
	m, found, err := findMethod(ctx, s.cfg.DB, method)
	if err != nil || !found {
		return job.Done(), err
	}
	p, _, err := s.cfg.Processors(ctx, m.Processor)
	if err != nil {
		return job.Outcome{}, err
	}
	if err := job.Holds(ctx); err != nil {
		return job.Outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	return job.Done(), p.Detach(ctx, m.customer, m.reference)
}

// remember stores what a payment says about its account's customer and saved method.
func (s *Service) remember(ctx context.Context, tx *db.Tx, t row, p Payment) error {
	if p.Customer == "" {
		return nil
	}
	if err := putCustomer(ctx, tx, t.Account, t.Processor, p.Customer); err != nil || p.Method == nil {
		return err
	}
	return s.putMethod(ctx, tx, t.Account, t.Processor, p.Customer, *p.Method)
}

// putMethod stores a method, or what changed about it. A removed one stays removed.
func (s *Service) putMethod(ctx context.Context, tx *db.Tx, account id.ID, processor, customer string, m Method) error {
	if m.ID == "" {
		return nil
	}
	created := m.CreatedAt
	if created.IsZero() {
		created = tx.Now
	}
	return putMethod(ctx, tx, methodRow{PaymentMethod: PaymentMethod{
		ID: s.cfg.IDs.New(id.PaymentMethod), Account: account, Processor: processor, Type: m.Type, Brand: m.Brand,
		Last4: m.Last4, ExpiryMonth: m.ExpiryMonth, ExpiryYear: m.ExpiryYear, CreatedAt: created,
	}, customer: customer, reference: m.ID})
}

// refreshMethods asks a processor for a customer's methods: card networks replace expired cards,
// and some are removed at the processor.
func (s *Service) refreshMethods(ctx context.Context, processor, customer string) error {
	account, found, err := accountOf(ctx, s.cfg.DB, processor, customer)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: customer %s", ErrNotOurs, customer)
	}
	p, _, err := s.cfg.Processors(ctx, processor)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	all, err := p.Methods(within, customer)
	if err != nil {
		return unanswered(err)
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, m := range all { // a customer has few
			if err := s.putMethod(ctx, tx, account, processor, customer, m); err != nil {
				return err
			}
		}
		known, err := methodsOf(ctx, tx, account)
		if err != nil {
			return err
		}
		for _, k := range known {
			gone := k.customer == customer &&
				!slices.ContainsFunc(all, func(m Method) bool { return m.ID == k.reference })
			if gone {
				if err := removeMethod(ctx, tx, k.ID, tx.Now); err != nil {
					return err
				}
			}
		}
		return s.stopWithoutMethod(ctx, tx, account)
	})
}
