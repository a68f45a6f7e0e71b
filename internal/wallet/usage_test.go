package wallet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/google/go-cmp/cmp"
)

// payDescribed charges hours as payHours does, and describes their subjects.
func payDescribed(t *testing.T, r *rig, accounts []id.ID, chance *rand.Rand) map[id.ID]wallet.Subject {
	t.Helper()
	described := map[id.ID]wallet.Subject{}
	for _, h := range payHours(t, r, accounts, chance) {
		if _, done := described[h.Subject]; done {
			continue
		}
		n := len(described)
		s := wallet.Subject{
			ID: h.Subject, Account: h.Account, Project: []string{"", "blue", "red"}[n%3],
			Tags: [][]string{nil, {"team:b", "team=a", "env:x"}, {"env:x", "teams:c"}}[n%3],
			CreatedBy: creator.Creator{
				Type: []creator.Type{creator.Member, creator.APIKey}[n%2],
				ID:   id.ID(fmt.Sprint("by_", n%4)), Name: "n",
			},
		}
		described[h.Subject] = s
		r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Describe(ctx, tx, s) })
	}
	return described
}

// usageKey returns the group that a charge or refund belongs to.
func usageKey(by wallet.GroupBy, of wallet.Transaction, described map[id.ID]wallet.Subject) string {
	s := described[*of.DeploymentID]
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	switch {
	case by == wallet.ByGPUType:
		return text(of.GPUType)
	case by == wallet.ByProvider:
		return text(of.Provider)
	case by == wallet.ByProject:
		return s.Project
	case by == wallet.ByTag && len(s.Tags) == 3:
		return "team:b" // ':' is before '=' in the alphabet
	case by == wallet.ByMember && s.CreatedBy.Type == creator.Member,
		by == wallet.ByAPIKey && s.CreatedBy.Type == creator.APIKey:
		return string(s.CreatedBy.ID)
	}
	return ""
}

// The usage of each day and group, however the interval is cut, is compared with a plain sum over
// the account's transactions.
func TestLedger_UsageByDayAndGroupAgreesWithTheTransactions(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance := newRig(t, d, c), rand.New(rand.NewPCG(7, 9))
		accounts := []id.ID{r.account(money.Dollars(1)), r.account(money.Dollars(1))}
		described := payDescribed(t, r, accounts, chance)
		const days = int64(paidDays * 24 * time.Hour)
		for range 20 {
			from := dbtest.Start.Add(time.Duration(chance.Int64N(days)))
			to := from.Add(1 + time.Duration(chance.Int64N(days)))
			for _, by := range []wallet.GroupBy{
				wallet.ByGPUType, wallet.ByProvider, wallet.ByProject, wallet.ByTag, wallet.ByMember, wallet.ByAPIKey,
			} {
				q := wallet.UsageQuery{From: from, To: to, By: by, Daily: true}
				if by == wallet.ByTag {
					q.TagKey = "team"
				}
				r.checkDaily(accounts[0], q, described)
			}
		}
	})
}

func (r *rig) checkDaily(account id.ID, q wallet.UsageQuery, described map[id.ID]wallet.Subject) {
	r.Helper()
	type cell struct{ day, key string }
	want, total := map[cell]money.Micros{}, money.Micros(0)
	costs := wallet.Filter{Types: []wallet.Type{wallet.TypeCharge, wallet.TypeRefund}}
	err := r.ledger.Export(r.Context(), r.db, account, costs, func(of wallet.Transaction) error {
		if !of.From.Before(q.From) && of.From.Before(q.To) {
			want[cell{of.From.UTC().Format(time.DateOnly), usageKey(q.By, of, described)}] -= of.Amount
			total -= of.Amount
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	u, err := r.ledger.Usage(r.Context(), r.db, account, q)
	if err != nil || u.Total != total {
		r.Fatalf("by %s: the total is %v, %v; want %v", q.By, u.Total, err, total)
	}
	got, byGroup := map[cell]money.Micros{}, map[string]money.Micros{}
	for i, x := range u.Days {
		if i > 0 && x.Day < u.Days[i-1].Day {
			r.Fatalf("by %s: days are not in order: %v", q.By, u.Days)
		}
		got[cell{x.Day, x.Key}] += x.Cost
		byGroup[x.Key] += x.Cost
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(cell{})); diff != "" {
		r.Fatalf("by %s from %s to %s (-want +got):\n%s", q.By, q.From, q.To, diff)
	}
	for _, g := range u.Groups {
		if byGroup[g.Key] != g.Cost {
			r.Fatalf("by %s: the days of %q sum up to %v, the group is %v", q.By, g.Key, byGroup[g.Key], g.Cost)
		}
	}
}
