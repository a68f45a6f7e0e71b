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

// The usage of each day and group, however the interval is cut, is compared with a plain sum over
// the account's transactions.
func TestLedger_UsageByDayAndGroupAgreesWithTheTransactions(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r, chance := newRig(t, d, c), rand.New(rand.NewPCG(7, 9))
		accounts := []id.ID{r.account(money.Dollars(1)), r.account(money.Dollars(1))}
		all := payHours(t, r, accounts, chance)
		described := map[id.ID]wallet.Subject{}
		for _, h := range all {
			if _, done := described[h.Subject]; done {
				continue
			}
			n := len(described)
			s := wallet.Subject{
				ID: h.Subject, Account: h.Account, Project: []string{"", "blue", "red"}[n%3],
				Tags: [][]string{nil, {"team:b", "team=a", "env:x"}, {"env:x", "teams:c"}}[n%3],
				CreatedBy: creator.Creator{
					Type: []creator.Type{creator.Member, creator.APIKey}[n%2], ID: id.ID(fmt.Sprint("by_", n%4)), Name: "n",
				},
			}
			described[h.Subject] = s
			r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Describe(ctx, tx, s) })
		}
		keyOf := func(by wallet.GroupBy, tx wallet.Transaction) string {
			subject := *first(tx.DeploymentID, tx.VolumeID)
			s := described[subject]
			switch {
			case by == wallet.ByGPUType:
				return *first(tx.GPUType, new(string))
			case by == wallet.ByProvider:
				return *first(tx.Provider, new(string))
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
		type cell struct{ day, key string }
		groups := []wallet.GroupBy{
			wallet.ByGPUType, wallet.ByProvider, wallet.ByProject, wallet.ByTag, wallet.ByMember, wallet.ByAPIKey,
		}
		for range 20 {
			from := dbtest.Start.Add(time.Duration(chance.Int64N(int64(paidDays * 24 * time.Hour))))
			to := from.Add(1 + time.Duration(chance.Int64N(int64(paidDays*24*time.Hour))))
			for _, by := range groups {
				want, total := map[cell]money.Micros{}, money.Micros(0)
				err := r.ledger.Export(t.Context(), d, accounts[0], wallet.Filter{
					Types: []wallet.Type{wallet.TypeCharge, wallet.TypeRefund},
				}, func(tx wallet.Transaction) error {
					if tx.From.Before(from) || !tx.From.Before(to) {
						return nil
					}
					want[cell{tx.From.UTC().Format(time.DateOnly), keyOf(by, tx)}] -= tx.Amount
					total -= tx.Amount
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				q := wallet.UsageQuery{From: from, To: to, By: by, Daily: true}
				if by == wallet.ByTag {
					q.TagKey = "team"
				}
				u, err := r.ledger.Usage(t.Context(), d, accounts[0], q)
				if err != nil || u.Total != total {
					t.Fatalf("by %s: the total is %v, %v; want %v", by, u.Total, err, total)
				}
				got, byGroup := map[cell]money.Micros{}, map[string]money.Micros{}
				for i, x := range u.Days {
					if i > 0 && x.Day < u.Days[i-1].Day {
						t.Fatalf("by %s: days are not in order: %v", by, u.Days)
					}
					got[cell{x.Day, x.Key}] += x.Cost
					byGroup[x.Key] += x.Cost
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(cell{})); diff != "" {
					t.Fatalf("by %s from %s to %s (-want +got):\n%s", by, from, to, diff)
				}
				for _, g := range u.Groups {
					if byGroup[g.Key] != g.Cost {
						t.Fatalf("by %s: the days of %q sum up to %v, the group is %v", by, g.Key, byGroup[g.Key], g.Cost)
					}
				}
			}
		}
	})
}

// first returns the first that is not nil.
func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}
