package deployment

import (
	"time"

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
	BindingLimit *BindingLimit     `json:"bindingLimit" doc:"Limit of the request that would terminate it first; null if it has none."`
}

// EstimatedRefund is what an end at an instant of the first hour refunds.
type EstimatedRefund struct {
	At     time.Time    `json:"at" doc:"Time of the end, if SSH answered now."`
	Amount money.Micros `json:"amount" doc:"US dollars that are refunded."`
}

// Limit is a field of a request that ends a deployment.
type Limit string

// The limits.
const (
	LimitAutoTerminate Limit = "autoTerminateAt"
	LimitMaxRuntime    Limit = "maxRuntimeMinutes"
	LimitMaxSpend      Limit = "maxSpend"
)

// Enum lists every limit.
func (Limit) Enum() []Limit { return []Limit{LimitAutoTerminate, LimitMaxRuntime, LimitMaxSpend} }

// limitOf is the limit behind each cause of an auto-termination.
var limitOf = map[Cause]Limit{
	CauseScheduled: LimitAutoTerminate, CauseMaxRuntime: LimitMaxRuntime, CauseMaxSpend: LimitMaxSpend,
}

// BindingLimit is the limit that ends a deployment first.
type BindingLimit struct {
	Limit Limit     `json:"limit" doc:"autoTerminateAt, maxRuntimeMinutes or maxSpend."`
	At    time.Time `json:"at" doc:"When it would terminate the deployment if SSH answered now."`
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
	if end, planned := began.autoEnd(); planned {
		e.BindingLimit = &BindingLimit{limitOf[end.cause], end.at}
	}
	return e
}
