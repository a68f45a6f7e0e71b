package payment

import (
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// TestClosedTopUpIsNeverCredited closes a top-up whose money is wrong, and has other states of its
// payment decided.
func TestClosedTopUpIsNeverCredited(t *testing.T) {
	now := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rules{live: true, now: now, newID: func() id.ID { return "ref_1" }}
	paid := func(intent string, amount money.Micros, currency string) Payment {
		return Payment{
			Status: PaymentSucceeded, IntentReference: intent, Received: amount, Currency: currency, Live: true,
		}
	}
	for name, c := range map[string]struct {
		later   Payment
		problem string // of the top-up afterwards
	}{
		"the same money": {paid("a", 49*money.USD, Currency), ""},
		"no money":       {Payment{Status: PaymentExpired}, ""},
		"another failure": {
			Payment{Status: PaymentFailed, Failure: &Failure{Message: "Declined."}}, "",
		},
		"other money of the same amount":  {paid("b", 49*money.USD, Currency), "$49.00 was paid"},
		"the same money, which now fits":  {paid("a", 50*money.USD, Currency), "$50.00 was paid by a"},
		"other money, which fits":         {paid("b", 50*money.USD, Currency), "$50.00 was paid by b"},
		"other money in another currency": {paid("b", 50*money.USD, "eur"), `in "eur"`},
	} {
		t.Run(name, func(t *testing.T) {
			k := known{topUp: row{OperatorTopUp: OperatorTopUp{TopUp: TopUp{Status: Pending, Amount: 50 * money.USD}}}}
			k, _ = decide(k, paid("a", 49*money.USD, Currency), r)
			if k.topUp.Problem == "" || k.topUp.problemIntent != "a" {
				t.Fatalf("%+v", k.topUp)
			}
			k, err := decideClose(k, "refunded", now)
			if err != nil || k.topUp.Status != Failed || k.topUp.Problem != "" ||
				*k.topUp.FailureMessage != "refunded" {
				t.Fatalf("%+v, %v", k.topUp, err)
			}
			for range 2 {
				var moves []move
				k, moves = decide(k, c.later, r)
				if len(moves) != 0 || k.topUp.Received != 0 || k.topUp.Status != Failed ||
					*k.topUp.FailureMessage != "refunded" {
					t.Errorf("%+v, %v", k.topUp, moves)
				}
				if got := k.topUp.Problem; (got == "") != (c.problem == "") || !strings.Contains(got, c.problem) {
					t.Errorf("problem: %q, want %q", got, c.problem)
				}
			}
			if c.problem == "" {
				return
			}
			if k, err = decideClose(k, "again", now); err != nil {
				t.Fatal(err)
			}
			for _, p := range []Payment{c.later, paid("a", 49*money.USD, Currency)} { // both were decided about
				if k, _ = decide(k, p, r); k.topUp.Problem != "" {
					t.Errorf("problem: %q", k.topUp.Problem)
				}
			}
		})
	}
}

func TestDecideClose_refuses(t *testing.T) {
	for name, topUp := range map[string]OperatorTopUp{
		"pending without money": {TopUp: TopUp{Status: Pending}},
		"failed":                {TopUp: TopUp{Status: Failed}},
		"credited":              {TopUp: TopUp{Status: Succeeded, Received: 1}, Problem: "It was paid a second time."},
	} {
		before := known{topUp: row{OperatorTopUp: topUp}}
		if after, err := decideClose(before, "x", time.Time{}); err == nil || after.topUp.Status != topUp.Status {
			t.Errorf("%s: %+v, %v", name, after.topUp, err)
		}
	}
}

func TestDecideClose_keepsExpired(t *testing.T) {
	k := known{topUp: row{OperatorTopUp: OperatorTopUp{TopUp: TopUp{Status: Expired}, Problem: "late and wrong"}}}
	if k, err := decideClose(k, "x", time.Time{}); err != nil || k.topUp.Status != Expired || k.topUp.Problem != "" {
		t.Errorf("%+v, %v", k.topUp, err)
	}
}
