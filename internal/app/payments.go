package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/demo"
	"github.com/billetcloud/billet/internal/payment/transfer"
	"github.com/billetcloud/billet/internal/settings"
)

// payments are top-ups with the processors of their payments.
type payments struct {
	svc       *payment.Service
	demo      *demo.Processor // nil without simulated payments
	transfers *transfer.Processor
	stripe    *stripeSource
	// testMode is true where payments of Stripe's test mode are taken: with simulated machines.
	testMode bool
	// site is where browsers reach this server. Without a public URL it is known once the server
	// listens.
	site *atomic.Pointer[url.URL]
}

func (o *Operator) buildPayments(c Config, public *url.URL, log *slog.Logger) payments {
	p := payments{site: &atomic.Pointer[url.URL]{}, testMode: c.Sim}
	if public == nil {
		public = &url.URL{Scheme: "http", Host: "localhost"}
	}
	p.site.Store(public)
	p.transfers = transfer.New(transfer.Config{DB: o.DB, Clock: o.Clock, Site: p.site.Load})
	if c.Sim && c.Demo {
		p.demo = demo.New(demo.Config{DB: o.DB, Clock: o.Clock, Site: p.site.Load})
	}
	p.stripe = &stripeSource{db: o.DB, ids: o.IDs, settings: o.Settings, url: c.StripeURL}
	if c.StripeURL != "" {
		p.stripe.now = o.Clock.Now
	}
	p.svc = payment.New(payment.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Log: log, Wallet: o.Wallet, Credits: o.Credits,
		Events: o.Events, Issues: o.Issues,
		Jobs: o.Jobs, Confirm: p.transfers.Confirm, Site: p.site.Load,
		Offer: func(ctx context.Context, r db.Reader) (payment.Offer, error) {
			set, err := o.Settings.Peek(ctx, r)
			return p.offer(set.Payments), err
		},
		Processors: p.processor,
	})
	return p
}

// at sets where browsers reach the server, unless it is configured.
func (p payments) at(address string) {
	if u, err := url.Parse(address); err == nil && p.site.Load().Host == "localhost" {
		p.site.Store(u)
	}
}

// offer is the processor that the settings name. Simulated payments are offered where none is.
func (p payments) offer(s settings.Payments) payment.Offer {
	out := payment.Offer{Name: string(s.Processor), Limits: payment.Limits{Minimum: s.Minimum, Maximum: s.Maximum}}
	switch {
	case p.refuses(s):
		out.Name = ""
	case s.Processor == settings.NoPayments:
		out.Name = ""
		if p.demo != nil {
			out.Name = payment.Demo
		}
	}
	return out
}

// refuses reports whether the settings have payments made in Stripe's test mode, whose credit would
// be real.
func (p payments) refuses(s settings.Payments) bool {
	return s.Processor == settings.Stripe && !s.StripeLive && !p.testMode
}

// warnOfTestMode tells the operator why no payments are taken.
func (a *App) warnOfTestMode(ctx context.Context) error {
	set, err := a.Settings.Current(ctx)
	if err == nil && a.services.payments.refuses(set.Payments) {
		a.cfg.Log.ErrorContext(ctx, "no payments are taken: the key of Stripe is one of test mode, and this server "+
			"runs without --sim; set a live key with billetd settings set --stripe-key-file")
	}
	return err
}

// processor finds a processor by name.
func (p payments) processor(ctx context.Context, name string) (payment.Processor, bool, error) {
	switch {
	case name == payment.Transfer:
		return p.transfers, true, nil
	case name == payment.Demo && p.demo != nil:
		return p.demo, true, nil
	case name == string(settings.Stripe):
		s, err := p.stripe.get(ctx)
		if err != nil {
			return nil, false, err
		}
		if !s.Live() && !p.testMode {
			return nil, false, fmt.Errorf("%w: the key of Stripe is one of test mode, which needs --sim",
				payment.ErrUnsupported)
		}
		return s, s.Live(), nil
	}
	return nil, false, fmt.Errorf("%w: the payment processor %q is not set up", payment.ErrUnsupported, name)
}

// handle registers the handlers of the jobs.
func (p payments) handle(r *job.Runner) {
	r.Handle(payment.KindSettle, p.svc.Settle)
	r.Handle(payment.KindRefund, p.svc.PayBack)
	r.Handle(payment.KindDetach, p.svc.DetachMethod)
	r.Handle(payment.KindAutomatic, p.svc.TopUpNow)
	r.HandlePeriodic(payment.KindSweep, p.svc.Sweep)
	r.HandlePeriodic(payment.KindCatchUp, p.svc.CatchUp)
	r.HandlePeriodic(payment.KindCompare, p.svc.Compare)
}
