package httpapi

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/demo"
	"github.com/billetcloud/billet/internal/payment/transfer"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/settings"
)

// PaymentHook is where a processor posts its events; the name of the processor follows.
const PaymentHook = "/webhooks/payments/"

// maxHooks is how many events of processors are processed at once: each asks the processor.
const maxHooks = 8

// paymentPages are what the payer and the processor reach outside the API: payment pages, and the
// address for events.
type paymentPages struct {
	svc       *payment.Service
	settings  *settings.Service
	demo      *demo.Processor
	transfers *transfer.Processor
	log       *slog.Logger
	// recovering reports whether the server takes no changes for now; it may be nil.
	recovering func() bool
}

//go:embed pay/page.html
var payPage string

var payTemplate = template.Must(template.New("pay").Parse(payPage))

// shownPayment is what the template shows.
type shownPayment struct {
	Installation, Title, State string
	Amount, TopUp              string
	Facts                      []fact
	Note, Return               string
	Cards                      []demo.Card
	Demo, Open                 bool
}

type fact struct {
	Name, Value string
	Big         bool
}

func (h paymentPages) routes(r *rest.Router) {
	r.Form(demo.PagePath, h.showDemo, h.actDemo)
	r.Form(transfer.PagePath, h.showTransfer, nil)
	busy := make(chan struct{}, maxHooks)
	r.Hook(PaymentHook+"stripe", func(r *http.Request, body []byte) error {
		if h.recovering != nil && h.recovering() {
			return rest.Unavailable("This server was restored from a backup. Send this event again later.", nil)
		}
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		default:
			return rest.Unavailable("Many events are being processed. Send this one again.", nil)
		}
		return h.receive(r.Context(), "stripe", r.Header.Get, body)
	})
}

func (h paymentPages) receive(
	ctx context.Context, processor string, header func(string) string, body []byte,
) error {
	err := h.svc.Receive(ctx, processor, header, body)
	switch {
	case errors.Is(err, payment.ErrForged), errors.Is(err, payment.ErrStale):
		h.log.WarnContext(ctx, "refused a payment event", "processor", processor, "error", err)
		return apierr.New(apierr.InvalidRequest, "The signature of this event is missing, wrong or too old.")
	case errors.Is(err, payment.ErrUnsupported):
		return rest.NotFound("payment processor")
	case errors.Is(err, payment.ErrNoAnswer):
		return rest.Unavailable("The payment processor did not answer. Send this event again.", err)
	}
	return err
}

func (h paymentPages) showDemo(r *http.Request, token string) ([]byte, error) {
	if h.demo == nil {
		return nil, rest.NotFound("payment page")
	}
	p, err := h.demo.Page(r.Context(), token)
	if err != nil {
		return nil, err
	}
	out := shownPayment{
		Title: "Simulated payment", Amount: p.Amount.String(), TopUp: string(p.TopUp), Demo: true,
		State: paymentState(p.Status), Return: p.ReturnURL,
		Open: p.Status == payment.PaymentPending || p.Status == payment.PaymentProcessing ||
			p.Status == payment.PaymentActionRequired,
	}
	if p.Save {
		out.Cards = demo.Cards
	}
	return h.render(r, out)
}

func (h paymentPages) actDemo(r *http.Request, token string, form url.Values) error {
	if h.demo == nil {
		return rest.NotFound("payment page")
	}
	p, err := h.demo.Act(r.Context(), token, demo.Action(form.Get("action")), form.Get("card"))
	if err != nil {
		return err
	}
	// As a processor's event would. If it fails, the top-up's job asks again.
	if err := h.svc.Refresh(r.Context(), payment.Demo, p.Reference); err != nil {
		h.log.WarnContext(r.Context(), "a simulated payment is not applied yet", "topUp", string(p.TopUp), "error", err)
	}
	return nil
}

func (h paymentPages) showTransfer(r *http.Request, token string) ([]byte, error) {
	p, err := h.transfers.Page(r.Context(), token)
	if err != nil {
		return nil, err
	}
	set, err := h.settings.Current(r.Context())
	if err != nil {
		return nil, err
	}
	out := shownPayment{
		Title: "Bank transfer", Amount: p.Amount.String(), TopUp: string(p.TopUp), State: paymentState(p.Status),
		Note: set.Payments.BankNote,
	}
	if p.Status == payment.PaymentPending {
		out.State = "Transfer the amount with this reference. It is added to your balance when it has arrived."
		out.Facts = []fact{
			{"Reference", p.Reference, true}, {"Recipient", set.Payments.BankRecipient, false},
			{"Account", set.Payments.BankAccount, false},
		}
		if set.Payments.BankCode != "" {
			out.Facts = append(out.Facts, fact{"BIC or bank code", set.Payments.BankCode, false})
		}
		if set.Payments.BankName != "" {
			out.Facts = append(out.Facts, fact{"Bank", set.Payments.BankName, false})
		}
		out.Facts = append(out.Facts, fact{"Expected by", p.ExpiresAt.UTC().Format(time.DateOnly), false})
	}
	return h.render(r, out)
}

func (h paymentPages) render(r *http.Request, p shownPayment) ([]byte, error) {
	set, err := h.settings.Current(r.Context())
	if err != nil {
		return nil, err
	}
	p.Installation = set.Installation.Name
	var out bytes.Buffer
	err = payTemplate.Execute(&out, p)
	return out.Bytes(), err
}

// paymentState is the state of a payment as a sentence.
func paymentState(s payment.PaymentStatus) string {
	switch s {
	case payment.PaymentSucceeded:
		return "The payment was received."
	case payment.PaymentProcessing:
		return "The payment is being processed. It is added to your balance when it has arrived."
	case payment.PaymentActionRequired:
		return "Your bank wants you to confirm the payment."
	case payment.PaymentExpired:
		return "This page has expired. Create a new top-up."
	case payment.PaymentFailed:
		return "The payment failed."
	case payment.PaymentCanceled:
		return "The payment was canceled."
	}
	return "Not paid yet."
}
