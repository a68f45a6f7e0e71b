package signedhead_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/wallet"
)

type rig struct {
	*testing.T
	db       *db.DB
	clock    *clock.Simulated
	ids      *id.Maker
	ledger   *wallet.Ledger
	box      *secret.Box
	signed   *signedhead.Service
	issues   *issue.Service
	accounts []id.ID
}

func box(t *testing.T) *secret.Box {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	b, err := secret.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newRig has a ledger of five accounts and three signed days.
func newRig(t *testing.T, d *db.DB, c *clock.Simulated) *rig {
	r := &rig{T: t, db: d, clock: c, ids: id.NewMaker(c, rand.Reader), box: box(t)}
	r.ledger = wallet.New(wallet.Config{DB: d, IDs: r.ids})
	jobs := job.NewQueue(r.ids)
	r.issues = issue.New(issue.Config{IDs: r.ids, Jobs: jobs, Log: slog.New(slog.DiscardHandler)})
	r.signed = signedhead.New(signedhead.Config{DB: d, Jobs: jobs, Issues: r.issues, Secrets: r.box})
	if err := r.signed.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		account := r.ids.New(id.Account)
		r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Open(ctx, tx, account) })
		r.accounts = append(r.accounts, account)
	}
	for day := range 3 {
		for _, account := range r.accounts[day:] {
			r.credit(account)
			r.credit(account)
		}
		r.sign()
		r.clock.Advance(24 * time.Hour)
	}
	return r
}

func (r *rig) tx(f func(ctx context.Context, tx *db.Tx) error) {
	r.Helper()
	if err := r.db.InTx(r.Context(), f); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) credit(account id.ID) {
	r.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := r.ledger.Credit(ctx, tx, wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: money.USD,
			Dedupe: string(r.ids.New(id.Request))})
		return err
	})
}

func (r *rig) sign() {
	r.Helper()
	for range 2 { // the second changes nothing
		if _, err := r.signed.Sign(r.Context(), signedhead.Fleet); err != nil {
			r.Fatal(err)
		}
	}
}

func (r *rig) verified(o signedhead.VerifyOptions) signedhead.Verified {
	r.Helper()
	v, err := signedhead.Verify(r.Context(), r.db, o)
	if err != nil {
		r.Fatal(err)
	}
	return v
}

func (r *rig) exec(text string, args ...any) error {
	_, err := r.db.Handle().ExecContext(r.Context(), text, args...)
	return err
}

func TestSign_oncePerDay(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		v := r.verified(signedhead.VerifyOptions{Secrets: r.box})
		if v.Days != 3 || len(v.Problems) > 0 || len(v.Keys) != 1 || !v.Keys[0].Trusted {
			t.Errorf("%+v", v)
		}
		outcome, err := r.signed.Sign(t.Context(), signedhead.Fleet)
		now := c.Now()
		if want := job.At(now.Truncate(24 * time.Hour).Add(24*time.Hour + 5*time.Minute)); err != nil ||
			outcome != want {
			t.Errorf("the job runs again at %v (%v), want %v", outcome, err, want)
		}
	})
}

// TestVerifyFindsChangedSignatures changes each column of each table of signatures, and removes
// rows.
func TestVerifyFindsChangedSignatures(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for table, columns := range map[string]map[string]string{
			"signed_head_key": {"id": "x", "public_key": "x", "private_key": "x"},
			"signed_head_day": {"day": "x", "previous": "x", "root": "x", "key_id": "x", "signature": "x",
				"accounts": "1", "transactions": "1"},
			"signed_head": {"day": "x", "account_id": "x", "hash": "x", "seq": "1"},
		} {
			if err := r.exec(`CREATE TABLE kept AS SELECT * FROM ` + table); err != nil {
				t.Fatal(err)
			}
			check := func(what string) {
				t.Helper()
				problems := r.verified(signedhead.VerifyOptions{Secrets: r.box}).Problems
				if len(problems) == 0 {
					t.Errorf("%s in %s is not found", what, table)
				}
				for _, text := range []string{`DELETE FROM ` + table, `INSERT INTO ` + table + ` SELECT * FROM kept`} {
					if err := r.exec(text); err != nil {
						t.Fatal(err)
					}
				}
			}
			for column, change := range columns {
				text := ` = ` + column + ` || 'x'`
				if change == "1" {
					text = ` = ` + column + ` + 100`
				}
				order := ` WHERE ` + column + ` = (SELECT MAX(` + column + `) FROM ` + table + `)`
				if err := r.exec(`UPDATE ` + table + ` SET ` + column + text + order); err != nil {
					t.Fatal(err)
				}
				check("a change of " + column)
			}
			if table != "signed_head_key" {
				for _, edge := range []string{"MIN", "MAX"} {
					if edge == "MAX" && table == "signed_head_day" {
						// The newest statement has heads without it.
						newest := `(SELECT MAX(day) FROM signed_head_day)`
						if err := r.exec(`DELETE FROM signed_head_day WHERE day = ` + newest); err != nil {
							t.Fatal(err)
						}
						check("the removal of the newest day")
						continue
					}
					day := `(SELECT ` + edge + `(day) FROM ` + table + `)`
					if err := r.exec(`DELETE FROM ` + table + ` WHERE day = ` + day); err != nil {
						t.Fatal(err)
					}
					check("the removal of " + edge)
				}
			}
			if err := r.exec(`DROP TABLE kept`); err != nil {
				t.Fatal(err)
			}
		}
		if v := r.verified(signedhead.VerifyOptions{Secrets: r.box}); len(v.Problems) > 0 {
			t.Fatal(v.Problems)
		}
	})
}

// TestVerifyFindsRewrittenHistory replaces the ledger by another one that is as the server would
// have written it, with all hashes: only the signed heads show it.
func TestVerifyFindsRewrittenHistory(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.accounts[4]
		for _, table := range []string{"wallet_transaction", "wallet", "wallet_credit"} {
			if err := r.exec(`DELETE FROM `+table+` WHERE account_id = $1`, string(account)); err != nil {
				t.Fatal(err)
			}
		}
		err := r.exec(`DELETE FROM wallet_entry WHERE transaction_id NOT IN (SELECT id FROM wallet_transaction)`)
		if err != nil {
			t.Fatal(err)
		}
		r.tx(func(ctx context.Context, tx *db.Tx) error { return r.ledger.Open(ctx, tx, account) })
		for range 6 {
			r.credit(account)
		}
		whole, err := wallet.Verify(t.Context(), d, wallet.VerifyOptions{})
		if err != nil || len(whole.Problems) > 0 {
			t.Fatal(whole.Problems, err)
		}
		problems := r.verified(signedhead.VerifyOptions{Secrets: r.box}).Problems
		if len(problems) != 3 || slices.ContainsFunc(problems, func(p wallet.Problem) bool {
			return p.Account != account || !strings.Contains(p.Problem, "rewritten")
		}) {
			t.Errorf("problems: %v", problems)
		}
	})
}

// TestVerifyFindsForgedKeys signs a rewritten history with another key.
func TestVerifyFindsForgedKeys(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		own := r.verified(signedhead.VerifyOptions{}).Keys[0].Public
		for _, table := range []string{"signed_head", "signed_head_day", "signed_head_key"} {
			if err := r.exec(`DELETE FROM ` + table); err != nil {
				t.Fatal(err)
			}
		}
		forger := signedhead.New(signedhead.Config{DB: d, Jobs: job.NewQueue(r.ids), Secrets: box(t)})
		if _, err := forger.Sign(t.Context(), signedhead.Fleet); err != nil {
			t.Fatal(err)
		}
		for name, o := range map[string]signedhead.VerifyOptions{
			"secrets": {Secrets: r.box}, "public key": {PublicKeys: []string{own}},
		} {
			if v := r.verified(o); len(v.Problems) != 1 || !strings.Contains(v.Problems[0].Problem, "not trusted") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

func TestVerifyFindsRemovedDays(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		r.clock.Advance(5 * 24 * time.Hour)
		r.credit(r.accounts[0])
		problems := r.verified(signedhead.VerifyOptions{Secrets: r.box}).Problems
		if len(problems) != 1 || !strings.Contains(problems[0].Problem, "is missing") {
			t.Errorf("problems: %v", problems)
		}
		r.sign()
		if problems := r.verified(signedhead.VerifyOptions{Secrets: r.box}).Problems; len(problems) > 0 {
			t.Error(problems)
		}
	})
}

// TestReplacedSecretKeyMakesAnotherKey goes on signing after the server's secret key was replaced.
func TestReplacedSecretKeyMakesAnotherKey(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		first := r.verified(signedhead.VerifyOptions{}).Keys[0].Public
		other := box(t)
		r.signed = signedhead.New(signedhead.Config{DB: d, Jobs: job.NewQueue(r.ids), Secrets: other})
		r.sign()
		v := r.verified(signedhead.VerifyOptions{Secrets: other, PublicKeys: []string{first}})
		if v.Days != 4 || len(v.Keys) != 2 || len(v.Problems) > 0 {
			t.Errorf("%+v", v)
		}
	})
}

func TestCoveringNeverChanges(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		kept := map[string]string{}
		for range 2 {
			for i, account := range r.accounts {
				for seq := int64(1); seq <= 2*int64(min(i+1, 3)); seq++ {
					h, found, err := signedhead.Covering(t.Context(), d, account, seq)
					if err != nil || !found || h.Seq < seq || h.Account != account {
						t.Fatalf("Covering(%d, %d) = %+v, %t, %v", i, seq, h, found, err)
					}
					key := fmt.Sprint(i, "/", seq)
					if now := fmt.Sprintf("%+v", h); kept[key] == "" {
						kept[key] = now
					} else if kept[key] != now {
						t.Errorf("%s was %s, and is %s", key, kept[key], now)
					}
				}
			}
			r.credit(r.accounts[0])
			r.sign()
		}
		if _, found, err := signedhead.Covering(t.Context(), d, r.accounts[1], 999); err != nil || found {
			t.Errorf("a transaction that does not exist is covered: %v", err)
		}
	})
}

// TestVerifyDailyOpensAnIssue changes a row, sees one issue for it however often the ledger is
// verified, and restores it.
func TestVerifyDailyOpensAnIssue(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		verify := func(want int) {
			t.Helper()
			r.clock.Advance(time.Hour)
			for range 2 {
				if _, err := r.signed.VerifyDaily(t.Context(), signedhead.Fleet); err != nil {
					t.Fatal(err)
				}
			}
			page := db.Page{Number: 1, Limit: 20}
			open, _, err := r.issues.List(t.Context(), d, issue.Filter{State: issue.StateOpen}, page)
			if err != nil || len(open) != want {
				t.Fatalf("%d issues are open, want %d: %+v, %v", len(open), want, open, err)
			}
			if want > 0 && (open[0].Kind != issue.ChangedLedger ||
				!strings.Contains(open[0].Detail, "its hash does not match")) {
				t.Errorf("the issue is %+v", open[0])
			}
		}
		change := func(from, to string) {
			err := r.exec(`UPDATE wallet_transaction SET description = $1
				WHERE description = $2 AND account_id = $3 AND seq = 1`,
				to, from, string(r.accounts[0]))
			if err != nil {
				t.Fatal(err)
			}
		}
		verify(0)
		change("", "a gift")
		verify(1)
		change("a gift", "")
		verify(0)
	})
}
