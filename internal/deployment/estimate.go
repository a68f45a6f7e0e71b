package deployment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/budget"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
)

// Estimate is what a deployment would cost, as far as that is known before it runs. Its times are
// those of a machine whose SSH answered at once.
type Estimate struct {
	HourlyPrice  money.Micros      `json:"hourlyPrice" doc:"US dollars per hour, of the first candidate."`
	Hold         money.Micros      `json:"hold" doc:"US dollars that are put on hold: the first hour of the most expensive candidate."`
	EarliestEnd  time.Time         `json:"earliestEnd" doc:"When the minimum runtime would have passed if SSH answered now."`
	Refunds      []EstimatedRefund `json:"refunds" doc:"What ending it at some instants of the first hour would refund; empty if the minimum runtime is an hour or more."`
	BindingLimit *BindingLimit     `json:"bindingLimit" doc:"What would terminate it first; null if nothing would."`
}

// EstimatedRefund is what an end at an instant of the first hour refunds.
type EstimatedRefund struct {
	At     time.Time    `json:"at" doc:"Time of the end, if SSH answered now."`
	Amount money.Micros `json:"amount" doc:"US dollars that are refunded."`
}

// Limit is what ends a deployment: a field of its request, a budget, or the account's balance.
type Limit string

// The limits.
const (
	LimitAutoTerminate Limit = "autoTerminateAt"
	LimitMaxRuntime    Limit = "maxRuntimeMinutes"
	LimitMaxSpend      Limit = "maxSpend"
	LimitBudget        Limit = "budget"
	LimitBalance       Limit = "balance"
)

// Enum lists every limit.
func (Limit) Enum() []Limit {
	return []Limit{LimitAutoTerminate, LimitMaxRuntime, LimitMaxSpend, LimitBudget, LimitBalance}
}

// limitOf is the limit behind each cause of an auto-termination.
var limitOf = map[Cause]Limit{
	CauseScheduled: LimitAutoTerminate, CauseMaxRuntime: LimitMaxRuntime, CauseMaxSpend: LimitMaxSpend,
}

// BindingLimit is the limit that ends a deployment first.
type BindingLimit struct {
	Limit Limit     `json:"limit" doc:"autoTerminateAt, maxRuntimeMinutes, maxSpend, budget (one of mode terminate) or balance."`
	At    time.Time `json:"at" doc:"When it would terminate the deployment if SSH answered now and nothing else were spent from then on but what runs; for balance, when the balance does not cover an hour any more and the account becomes past due."`
}

// binding returns what ends the deployment first, as if SSH answered at once: a limit of the
// request, a budget, or the balance of which the hold is taken. A caller within a project does not
// learn the balance.
func (s *Service) binding(
	ctx context.Context, tx *db.Tx, r *row, available money.Micros, within string,
) (*BindingLimit, error) {
	began := *r
	began.startedAt = &r.createdAt
	var first *BindingLimit
	add := func(limit Limit, at *time.Time) {
		if at != nil && (first == nil || at.Before(first.At)) {
			first = &BindingLimit{limit, *at}
		}
	}
	if end, planned := began.autoEnd(); planned {
		add(limitOf[end.cause], &end.at)
	}
	at, err := budget.Ends(ctx, tx, budget.Cost{Of: r.billed(), Within: within}, r.hourlyPrice,
		hoursIn(r.minimumRuntime), r.createdAt)
	if err != nil {
		return nil, err
	}
	add(LimitBudget, at)
	if within != "" {
		return first, nil
	}
	running, err := s.cfg.Meter.Rates(ctx, tx, r.account)
	if err != nil {
		return nil, err
	}
	running = append(running, meter.Running{
		Subject: r.id, HourlyPrice: r.hourlyPrice, NextAt: r.createdAt.Add(meter.Hour), EndsAt: began.endsAt(),
	})
	add(LimitBalance, meter.RunsDryAt(available-r.hourlyPrice, running))
	return first, nil
}

// refundStep is the time between two lines of the table of refunds.
const refundStep = 5 * time.Minute

// estimate returns the estimate of a deployment that is not created.
func (r *row) estimate(hold money.Micros) *Estimate {
	began := *r // as if SSH answered at once
	began.startedAt = &r.createdAt
	e := &Estimate{
		HourlyPrice: r.hourlyPrice, Hold: hold, EarliestEnd: began.terminableAt(), Refunds: []EstimatedRefund{},
	}
	for at := r.minimumRuntime; at < meter.Hour; at += refundStep {
		unused := int64((meter.Hour - at) / time.Second)
		e.Refunds = append(e.Refunds, EstimatedRefund{
			r.createdAt.Add(at), money.ForSeconds(r.hourlyPrice, unused),
		})
	}
	return e
}
