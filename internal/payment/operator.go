package payment

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Filter selects top-ups of all accounts. A zero field does not filter.
type Filter struct {
	Account   id.ID
	Status    Status
	Processor string
	// Reference is what the processor calls the payment or its money, or what is written into a
	// bank transfer, whose spaces and case do not matter.
	Reference string
	// Problem selects those whose money is not credited.
	Problem bool
}

// references are the forms in which the wanted reference may be stored.
func (f Filter) references() []string {
	asTyped := strings.TrimSpace(f.Reference)
	ofBank := strings.ToUpper(strings.Join(strings.Fields(f.Reference), ""))
	return slices.Compact([]string{asTyped, ofBank})
}

// Details are a top-up with all that became of its money.
type Details struct {
	OperatorTopUp
	Payment    string        `json:"payment" doc:"What the processor calls the money that was credited; empty before."`
	Refundable money.Micros  `json:"refundable" doc:"US dollars that can be refunded now: what was received and is neither refunded, disputed nor spent."`
	AllRefunds []RefundView  `json:"allRefunds" doc:"Refunds with those that are pending or failed, oldest first."`
	Disputes   []DisputeView `json:"disputes" doc:"Disputes."`
}

// DisputeView is a dispute as operators see it.
type DisputeView struct {
	Reference string        `json:"reference" doc:"What the processor calls the dispute."`
	Amount    money.Micros  `json:"amount" doc:"US dollars that the payer's bank asks back."`
	Status    DisputeStatus `json:"status" doc:"open until the payer's bank has decided; after won the money is in the wallet again."`
	Reason    string        `json:"reason" doc:"Reason, as a code of the processor."`
	CreatedAt time.Time     `json:"createdAt" doc:"When it was recorded here."`
}

// Enum lists every status of a dispute.
func (DisputeStatus) Enum() []DisputeStatus {
	return []DisputeStatus{DisputeOpen, DisputeWon, DisputeLost}
}

// ListAll returns a page of the top-ups of all accounts that match the filter, newest first.
func (s *Service) ListAll(
	ctx context.Context, r db.Reader, f Filter, p db.Page,
) ([]OperatorTopUp, db.Listed, error) {
	rows, of, err := list(ctx, r, f, p)
	if err != nil {
		return nil, of, err
	}
	all, err := withMoney(ctx, r, rows)
	out := make([]OperatorTopUp, len(all))
	for i, k := range all {
		out[i] = k.operatorView(s.cfg.Clock.Now())
	}
	return out, of, err
}

// GetAny returns a top-up of any account, or NOT_FOUND.
func (s *Service) GetAny(ctx context.Context, tx *db.Tx, topUp id.ID) (Details, error) {
	k, found, err := load(ctx, tx, topUp)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return Details{}, err
	}
	d := Details{
		OperatorTopUp: k.operatorView(tx.Now), Payment: k.topUp.intent,
		AllRefunds: []RefundView{}, Disputes: []DisputeView{},
	}
	for _, f := range k.refunds {
		d.AllRefunds = append(d.AllRefunds, f.view())
	}
	for _, of := range k.disputes {
		d.Disputes = append(d.Disputes, DisputeView{of.Reference, of.Amount, of.Status, of.Reason, of.createdAt})
	}
	d.Refundable, err = s.refundable(ctx, tx, k)
	return d, err
}
