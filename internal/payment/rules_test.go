package payment

import (
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

func TestMonthOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2028, 2, 29, 23, 30, 1, 2, time.FixedZone("west", -3600)) // in UTC it is March
	if got, want := monthOf(at), time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Money that left is a difference only if it is not known at all.
func TestKnown_difference(t *testing.T) {
	t.Parallel()
	paid := known{topUp: row{OperatorTopUp: OperatorTopUp{TopUp: TopUp{Received: 100}}}}
	disputed := paid
	disputed.disputes = []disputeRow{{}}
	const unknown = " to a dispute that is not known."
	for name, c := range map[string]struct {
		known known
		moved sums
		want  string
	}{
		"what is credited": {paid, sums{paid: 100}, ""},
		"less":             {paid, sums{paid: 99}, "The processor was paid $0.000099, and $0.0001 is credited."},
		"nothing":          {paid, sums{}, ""},
		"a refund": {
			paid, sums{refunded: 1}, "The processor refunded $0.000001, and refunds of $0.00 are known.",
		},
		"the least dispute":  {paid, sums{disputed: 1}, "The processor lost $0.000001" + unknown},
		"a dispute":          {paid, sums{disputed: 100}, "The processor lost $0.0001" + unknown},
		"a known dispute":    {disputed, sums{disputed: 100}, ""},
		"a dispute that won": {paid, sums{disputed: -1}, ""},
	} {
		if got := c.known.difference(c.moved); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The fee is that of the payment that was credited, or of the first one.
func TestDecide_fee(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		credited string // payment
		fee      money.Micros
		want     money.Micros
	}{
		"the first":   {"", 3, 3},
		"the same":    {"intent_1", 3, 3},
		"another":     {"intent_2", 3, 1},
		"not yet set": {"intent_1", 0, 1},
	} {
		k := known{topUp: row{OperatorTopUp: OperatorTopUp{Fee: 1}, intent: c.credited}}
		p := Payment{Status: PaymentPending, IntentReference: "intent_1", Fee: c.fee}
		if after, moves := decide(k, p, rules{}); after.topUp.Fee != c.want || len(moves) != 0 {
			t.Errorf("%s: the fee is %s, want %s", name, after.topUp.Fee, c.want)
		}
	}
}
