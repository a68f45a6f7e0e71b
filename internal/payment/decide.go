package payment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// known is what is stored about a top-up.
type known struct {
	topUp    row
	refunds  []refundRow
	disputes []disputeRow
}

// move is a movement of money in the wallet, made once for each key.
type move struct {
	kind        wallet.Type
	amount      money.Micros
	description string
	key         string
}

// rules are what a payment is compared with.
type rules struct {
	// live is the mode of the processor that is configured.
	live bool
	// anyAmount accepts another amount than was asked for: bank transfers cost fees on the way.
	anyAmount bool
	now       time.Time
	newID     func() id.ID
}

// decide returns what is known after the processor said that the payment is in that state, and the
// movements that follow. What is final stays so, because p may be older than what is known: two
// replicas may have asked at different times. Deciding twice about the same state moves nothing the
// second time.
func decide(k known, p Payment, r rules) (known, []move) {
	k.refunds, k.disputes = slices.Clone(k.refunds), slices.Clone(k.disputes)
	t := &k.topUp
	if p.Fee > 0 && (t.intent == "" || t.intent == p.IntentReference) {
		t.Fee = p.Fee
	}
	var moves []move
	if p.Status == PaymentSucceeded {
		if wrong := t.mismatch(p, r); wrong != "" {
			if !t.decided(p.IntentReference, wrong) {
				t.Problem, t.problemIntent = wrong, p.IntentReference
			}
			return k, nil
		}
		if t.Received == 0 {
			t.Received, t.intent, t.CompletedAt, t.Problem = p.Received, p.IntentReference, &r.now, ""
			t.FailureCode, t.FailureMessage = nil, nil
			moves = append(moves, move{
				wallet.TypeTopUp, t.Received, t.describe(), "payment:" + t.Processor + ":" + t.intent,
			})
		}
		moves = append(moves, k.mergeRefunds(p, r)...)
		moves = append(moves, k.mergeDisputes(p, r)...)
	}
	if t.Received == 0 {
		if t.closed == "" {
			t.unpaid(p, r.now)
		}
		return k, moves
	}
	t.Status = k.paidStatus()
	return k, moves
}

func (t *row) describe() string {
	what := "Top-up"
	if t.Automatic {
		what = "Automatic top-up"
	}
	return what + " " + string(t.ID)
}

// mismatch returns why the money of a payment is not the one that was asked for; "" if it is.
func (t *row) mismatch(p Payment, r rules) string {
	switch {
	case p.IntentReference == "" || p.Received <= 0:
		return "The payment succeeded, but the processor does not say how much was paid."
	case t.intent != "" && t.intent != p.IntentReference:
		return fmt.Sprintf("It was paid a second time: %s by %s. Refund one of them at the processor.", p.Received,
			p.IntentReference)
	case p.Live != r.live:
		return "The payment is test money in live mode, or live money in test mode."
	case !strings.EqualFold(p.Currency, Currency):
		return fmt.Sprintf("It was paid in %q, not in US dollars.", p.Currency)
	case t.Received == 0 && !r.anyAmount && p.Received != t.Amount:
		return fmt.Sprintf("%s was paid, but %s was asked for.", p.Received, t.Amount)
	case t.closed != "" && t.Received == 0: // an operator may have added this money as credit
		return fmt.Sprintf("An operator had closed it, and %s was paid by %s. Refund it at the processor, or add it "+
			"as credit if it was not added before.", p.Received, p.IntentReference)
	}
	return ""
}

// decided reports whether an operator closed the top-up because of that problem of that money.
func (t *row) decided(intent, problem string) bool {
	return slices.Contains(strings.Split(t.closed, "\n"), closedLine(intent, problem))
}

// closedLine is what is kept of a problem that an operator has decided about.
func closedLine(intent, problem string) string { return intent + ": " + problem }

// closeCode is the failure code of top-ups that operators closed.
const closeCode = "closed"

// decideClose returns what is known after an operator closed a top-up whose money is not credited.
// From then on none is credited to it: the operator may have refunded the money, or added it as
// credit. Other money that arrives is another problem.
func decideClose(k known, reason string, now time.Time) (known, error) {
	t := &k.topUp
	switch {
	case t.Received > 0:
		return k, apierr.New(apierr.Conflict,
			"This top-up is credited, so it cannot be closed. Refund what was paid twice at the processor, and "+
				"dismiss the issue.")
	case t.Problem == "" && t.closed != "":
		return k, apierr.New(apierr.Conflict, "This top-up is closed already.")
	case t.Problem == "":
		return k, apierr.New(apierr.Conflict, "Only a top-up whose money was paid and is not credited can be closed. "+
			"Its `problem` would say why. Others end by themselves.")
	}
	if t.closed != "" {
		t.closed += "\n"
	}
	t.closed += closedLine(t.problemIntent, t.Problem)
	t.Problem = ""
	t.FailureCode, t.FailureMessage = new(closeCode), &reason
	if t.Status == Pending {
		t.Status, t.CompletedAt = Failed, &now
	}
	return k, nil
}

// unpaid sets the status of a top-up that was not credited.
func (t *row) unpaid(p Payment, now time.Time) {
	if p.Failure != nil {
		t.FailureCode, t.FailureMessage = &p.Failure.Code, &p.Failure.Message
	}
	if t.Status != Pending {
		return
	}
	switch p.Status {
	case PaymentFailed, PaymentCanceled:
		t.Status, t.CompletedAt = Failed, &now
	case PaymentExpired:
		t.Status, t.CompletedAt = Expired, &now
	case PaymentActionRequired:
		if t.Automatic { // the customer is away, and can pay on a page
			t.Status, t.CompletedAt = Failed, &now
		}
	}
}

// paidStatus is the status of a top-up that was credited.
func (k *known) paidStatus() Status {
	disputed, refunded := k.disputed(), k.refunded()
	switch {
	case disputed > 0:
		return Disputed
	case refunded >= k.topUp.Received:
		return Refunded
	}
	return Succeeded
}

func (k *known) disputed() (sum money.Micros) {
	for _, d := range k.disputes {
		if d.Status != DisputeWon {
			sum += d.Amount
		}
	}
	return sum
}

func (k *known) refunded() (sum money.Micros) {
	for _, f := range k.refunds {
		if f.Status != RefundFailed {
			sum += f.Amount
		}
	}
	return sum
}

// mergeRefunds adds the refunds that were made at the processor, and what became of those that were
// made here, whose money has left the wallet already.
func (k *known) mergeRefunds(p Payment, r rules) (moves []move) {
	for _, f := range p.Refunds {
		i := slices.IndexFunc(k.refunds, func(s refundRow) bool {
			return f.Refund != "" && s.ID == f.Refund || s.reference == f.Reference && f.Reference != ""
		})
		if i < 0 {
			added := refundRow{
				ID: r.newID(), TopUp: k.topUp.ID, Account: k.topUp.Account, reference: f.Reference, Amount: f.Amount,
				Reason: "Made at the payment processor.", Status: f.Status, Message: f.Message, CreatedAt: r.now,
				outside: true,
			}
			if f.Status != RefundPending {
				added.CompletedAt = &r.now
			}
			k.refunds = append(k.refunds, added)
			if f.Status != RefundFailed {
				moves = append(moves, move{
					wallet.TypeAdjustment, -f.Amount, "Refund of " + string(k.topUp.ID), k.key("refund", f.Reference),
				})
			}
			continue
		}
		known := &k.refunds[i]
		if known.reference == "" {
			known.reference = f.Reference
		}
		if known.Status == RefundFailed || f.Status == RefundPending || known.Status == f.Status {
			continue
		}
		known.Status, known.Message, known.CompletedAt = f.Status, f.Message, &r.now
		if f.Status == RefundFailed {
			moves = append(moves, k.giveBack(*known))
		}
	}
	return moves
}

// giveBack is the movement of a refund that failed.
func (k *known) giveBack(f refundRow) move {
	return move{
		wallet.TypeAdjustment, f.Amount, "Failed refund of " + string(k.topUp.ID), keyOfFailed(f.ID),
	}
}

func (k *known) mergeDisputes(p Payment, r rules) (moves []move) {
	for _, d := range p.Disputes {
		i := slices.IndexFunc(k.disputes, func(s disputeRow) bool { return s.Reference == d.Reference })
		if i < 0 {
			k.disputes = append(k.disputes, disputeRow{Dispute: d, topUp: k.topUp.ID, createdAt: r.now})
			if d.Status != DisputeWon {
				moves = append(moves, move{
					wallet.TypeAdjustment, -d.Amount, "Disputed payment of " + string(k.topUp.ID),
					k.key("dispute", d.Reference),
				})
			}
			continue
		}
		known := &k.disputes[i]
		if known.Status == DisputeWon || d.Status == DisputeOpen || known.Status == d.Status {
			continue
		}
		known.Status = d.Status
		if d.Status == DisputeWon {
			moves = append(moves, move{
				wallet.TypeAdjustment, known.Amount, "Dispute won: payment of " + string(k.topUp.ID),
				keyOfWon(k.topUp.Processor, d.Reference),
			})
		}
	}
	return moves
}

// keyOfFailed is the key of what a failed refund gives back.
func keyOfFailed(refund id.ID) string { return "refund-failed:" + string(refund) }

// keyOfWon is the key of what a won dispute gives back.
func keyOfWon(processor, dispute string) string { return "dispute-won:" + processor + ":" + dispute }

func (k *known) key(what, reference string) string {
	return what + ":" + k.topUp.Processor + ":" + reference
}
