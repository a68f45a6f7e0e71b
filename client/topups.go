package client

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// TopUpStatus is the status of a top-up.
type TopUpStatus string

// The statuses of top-ups.
const (
	TopUpPending   TopUpStatus = "pending"
	TopUpSucceeded TopUpStatus = "succeeded"
	TopUpFailed    TopUpStatus = "failed"
	TopUpExpired   TopUpStatus = "expired"
	// TopUpRefunded was refunded completely.
	TopUpRefunded TopUpStatus = "refunded"
	// TopUpDisputed is being asked back by the payer's bank, or was taken back.
	TopUpDisputed TopUpStatus = "disputed"
)

// TopUp is money that the account pays in.
type TopUp struct {
	// ID has the form top_….
	ID     string      `json:"id"`
	Status TopUpStatus `json:"status"`
	// Automatic is true for an automatic top-up.
	Automatic bool `json:"automatic"`
	// Amount was asked for, Received credited; Received is 0 before.
	Amount   Money `json:"amount"`
	Received Money `json:"received"`
	// Refunded was refunded or is being refunded; Disputed is or was asked back by the bank.
	Refunded Money    `json:"refunded"`
	Disputed Money    `json:"disputed"`
	Currency Currency `json:"currency"`
	// Processor is how it is paid, such as "stripe".
	Processor string `json:"processor"`
	// CheckoutURL is the page to pay on; nil until it is made, for automatic top-ups, and once the
	// top-up is no longer pending.
	CheckoutURL *string `json:"checkoutUrl"`
	// ExpiresAt is when the page closes; nil once the top-up is no longer pending.
	ExpiresAt *time.Time `json:"expiresAt"`
	// FailureCode and FailureMessage are the last failure; nil if there was none.
	FailureCode    *string `json:"failureCode"`
	FailureMessage *string `json:"failureMessage"`
	// CreatedBy is who created it, CreatedAt when.
	CreatedBy Creator   `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
	// CompletedAt is when it was credited, failed or expired; nil before.
	CompletedAt *time.Time `json:"completedAt"`
	// Refunds were made, oldest first.
	Refunds []TopUpRefund `json:"refunds"`
}

// TopUpRefund is money of a top-up that was returned to the payer.
type TopUpRefund struct {
	// ID has the form ref_….
	ID     string    `json:"id"`
	Amount Money     `json:"amount"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Receipt states a payment or a refund. It is no tax document, and never changes.
type Receipt struct {
	// ID is that of the top-up, or of the refund if Refund is true.
	ID        string   `json:"id"`
	TopUpID   string   `json:"topUpId"`
	Refund    bool     `json:"refund"`
	AccountID string   `json:"accountId"`
	Amount    Money    `json:"amount"`
	Currency  Currency `json:"currency"`
	// PaidBy is how it was paid, At when the money was credited or returned.
	PaidBy string    `json:"paidBy"`
	At     time.Time `json:"at"`
	// Reason is that of a refund.
	Reason string         `json:"reason"`
	Seller Seller         `json:"seller"`
	Buyer  BillingDetails `json:"buyer"`
	// MadeAt is when the receipt was first read.
	MadeAt time.Time `json:"madeAt"`
}

// ReceiptQuery selects a receipt of a top-up.
type ReceiptQuery struct {
	// Refund is one of the top-up's refunds; "" for the payment itself.
	Refund string `query:"refund"`
}

// CreateTopUp is a top-up to create. Amount is required.
type CreateTopUp struct {
	// Amount has no fractions of a cent.
	Amount Money `json:"amount"`
	// ReturnURL is where the payment page leads afterwards; the dashboard's wallet if "".
	ReturnURL string `json:"returnUrl,omitempty"`
	// SavePaymentMethod saves the payment method for automatic top-ups.
	SavePaymentMethod bool `json:"savePaymentMethod,omitempty"`
}

// TopUpQuery filters top-ups. Zero values filter nothing.
type TopUpQuery struct {
	Paging
	// Status is the accepted status.
	Status TopUpStatus `query:"status"`
}

// AutoTopUp is when the account is topped up automatically.
type AutoTopUp struct {
	Enabled bool `json:"enabled"`
	// Threshold is the available balance below which Amount is charged, up to MonthlyLimit in a
	// month (UTC).
	Threshold    Money `json:"threshold"`
	Amount       Money `json:"amount"`
	MonthlyLimit Money `json:"monthlyLimit"`
	// StoppedReason is why automatic top-ups have stopped; nil if they have not.
	StoppedReason *string `json:"stoppedReason"`
	// UsedThisMonth counts toward MonthlyLimit.
	UsedThisMonth Money `json:"usedThisMonth"`
	// PaymentMethod is charged; nil if none is saved.
	PaymentMethod *PaymentMethod `json:"paymentMethod"`
}

// SetAutoTopUp replaces the automatic top-up.
type SetAutoTopUp struct {
	Enabled      bool  `json:"enabled"`
	Threshold    Money `json:"threshold"`
	Amount       Money `json:"amount"`
	MonthlyLimit Money `json:"monthlyLimit"`
}

// PaymentMethod is a saved payment method.
type PaymentMethod struct {
	// ID has the form pmt_….
	ID string `json:"id"`
	// Processor has it. Type is "card" and others; Brand and Last4 describe it.
	Processor string `json:"processor"`
	Type      string `json:"type"`
	Brand     string `json:"brand"`
	Last4     string `json:"last4"`
	// ExpiryMonth is from 1 to 12. Both are 0 for what does not expire.
	ExpiryMonth int       `json:"expiryMonth"`
	ExpiryYear  int       `json:"expiryYear"`
	CreatedAt   time.Time `json:"createdAt"`
}

// TopUpService tops up the wallet. Reading needs the scope wallet:read; changes need wallet:write,
// which a key has only if it was created with it.
type TopUpService struct{ c *Client }

// Create creates a top-up. It is paid on its CheckoutURL, which is nil if the payment processor
// did not answer in time: Get has it later.
func (s *TopUpService) Create(ctx context.Context, in CreateTopUp, options ...CallOption) (*TopUp, error) {
	return one[TopUp](ctx, s.c, request{method: http.MethodPost, path: "/wallet/top-ups", body: in}, options)
}

func topUp(id string) request {
	return request{method: http.MethodGet, path: "/wallet/top-ups/" + id, id: id, field: "path.id"}
}

// Get returns a top-up. The error is ErrNotFound if there is none.
func (s *TopUpService) Get(ctx context.Context, id string, options ...CallOption) (*TopUp, error) {
	return one[TopUp](ctx, s.c, topUp(id), options)
}

// List returns one page of top-ups, newest first.
func (s *TopUpService) List(ctx context.Context, q TopUpQuery, options ...CallOption) (*Page[TopUp], error) {
	return list[TopUp](ctx, s.c, request{path: "/wallet/top-ups", query: queryOf(q)}, options)
}

// All iterates over top-ups, newest first.
func (s *TopUpService) All(ctx context.Context, q TopUpQuery, options ...CallOption) iter.Seq2[TopUp, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[TopUp], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(t TopUp) string { return t.ID })
}

// TopUpEndedError is the error of a wait if the top-up was not paid.
type TopUpEndedError struct {
	// TopUp is the current state.
	TopUp *TopUp
}

// Error returns the status and the reason.
func (e *TopUpEndedError) Error() string {
	text := fmt.Sprintf("client: %s is %s", e.TopUp.ID, e.TopUp.Status)
	if e.TopUp.FailureMessage != nil {
		text += ": " + *e.TopUp.FailureMessage
	}
	return text
}

// Wait waits until the top-up is credited, or the context ends. It polls every three seconds.
// progress is called with each response and can be nil. The error is a *TopUpEndedError if it
// failed or expired.
func (s *TopUpService) Wait(
	ctx context.Context, id string, progress func(*TopUp), options ...CallOption,
) (*TopUp, error) {
	for {
		t, err := s.Get(ctx, id, options...)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(t)
		}
		switch t.Status {
		case TopUpPending:
		case TopUpFailed, TopUpExpired:
			return t, &TopUpEndedError{t}
		default:
			return t, nil
		}
		if err := s.c.sleep(ctx, pollInterval); err != nil {
			return nil, ended(ctx, topUp(id), nil)
		}
	}
}

// Automatic returns when the account is topped up automatically.
func (s *TopUpService) Automatic(ctx context.Context, options ...CallOption) (*AutoTopUp, error) {
	return one[AutoTopUp](ctx, s.c, request{method: http.MethodGet, path: "/wallet/auto-top-up"}, options)
}

// SetAutomatic replaces when the account is topped up automatically, and starts automatic top-ups
// that have stopped. The error is ErrConflict without a saved payment method.
func (s *TopUpService) SetAutomatic(ctx context.Context, in SetAutoTopUp, options ...CallOption) (*AutoTopUp, error) {
	return one[AutoTopUp](ctx, s.c, request{method: http.MethodPut, path: "/wallet/auto-top-up", body: in}, options)
}

// PaymentMethods returns one page of saved payment methods, newest first. An account has few.
func (s *TopUpService) PaymentMethods(
	ctx context.Context, q Paging, options ...CallOption,
) (*Page[PaymentMethod], error) {
	return list[PaymentMethod](ctx, s.c, request{path: "/wallet/payment-methods", query: queryOf(q)}, options)
}

// AllPaymentMethods iterates over all saved payment methods.
func (s *TopUpService) AllPaymentMethods(ctx context.Context, options ...CallOption) iter.Seq2[PaymentMethod, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[PaymentMethod], error) {
		return s.PaymentMethods(ctx, at, options...)
	}, func(m PaymentMethod) string { return m.ID })
}

// DeletePaymentMethod deletes a saved payment method. Automatic top-ups stop if it was the last
// one.
func (s *TopUpService) DeletePaymentMethod(ctx context.Context, id string, options ...CallOption) error {
	r := request{
		method: http.MethodDelete, path: "/wallet/payment-methods/" + id, id: id, field: "path.id", goneIsDone: true,
	}
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[PaymentMethod](body)
		return err
	})
}

// Receipt returns the receipt of a credited top-up, or of one of its refunds.
func (s *TopUpService) Receipt(
	ctx context.Context, id string, q ReceiptQuery, options ...CallOption,
) (*Receipt, error) {
	return one[Receipt](ctx, s.c, request{
		method: http.MethodGet, path: "/wallet/top-ups/" + id + "/receipt", id: id, field: "path.id", query: queryOf(q),
	}, options)
}

// DownloadReceipt is Receipt as a file, InvoiceHTML or InvoicePDF: the same bytes whenever it is
// called. The caller closes it.
func (s *TopUpService) DownloadReceipt(
	ctx context.Context, id string, q ReceiptQuery, format InvoiceFormat, options ...CallOption,
) (io.ReadCloser, error) {
	media := "text/html"
	if format != InvoiceHTML {
		media = "application/" + string(format)
	}
	query := queryOf(q)
	query.Set("format", string(format))
	return s.c.send(ctx, request{
		method: http.MethodGet, path: "/wallet/top-ups/" + id + "/receipt", id: id, field: "path.id", query: query,
		accept: media, streaming: true,
	}, options)
}
