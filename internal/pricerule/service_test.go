package pricerule_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/pricerule"
)

// testKit is the service on one database.
type testKit struct {
	*pricerule.Service
	t  testing.TB
	db *db.DB
}

func each(t *testing.T, f func(k *testKit)) {
	t.Parallel()
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		f(&testKit{pricerule.New(id.NewMaker(c, rand.Reader)), t, d})
	})
}

func (k *testKit) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return k.db.InTx(k.t.Context(), f)
}

func (k *testKit) add(provider string, position int64) (r pricerule.Rule) {
	k.t.Helper()
	if err := k.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		r, err = k.Add(ctx, tx, pricerule.Rule{Position: position, Match: pricerule.Match{Provider: provider}})
		return err
	}); err != nil {
		k.t.Fatal(err)
	}
	return r
}

// order checks the rules' providers in their order, and that positions have no gaps.
func (k *testKit) order(what, want string) {
	k.t.Helper()
	all, err := k.List(k.t.Context(), k.db)
	if err != nil {
		k.t.Fatal(err)
	}
	var got []string
	for i, r := range all {
		got = append(got, r.Provider)
		if r.Position != int64(i+1) {
			k.t.Errorf("%s, the position of %s is %d, want %d", what, r.Provider, r.Position, i+1)
		}
	}
	if got := strings.Join(got, " "); got != want {
		k.t.Errorf("%s, the order is %q, want %q", what, got, want)
	}
}

func TestRulesKeepTheirOrder(t *testing.T) {
	each(t, func(k *testKit) {
		before, err := k.Version(k.t.Context(), k.db)
		if err != nil {
			k.t.Fatal(err)
		}
		k.add("b", 0)
		d := k.add("d", 99)
		a := k.add("a", 1)
		c := k.add("c", 3)
		k.order("after adding", "a b c d")
		move := func(r pricerule.Rule, to int64) {
			k.t.Helper()
			r.Position = to
			if err := k.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := k.Change(ctx, tx, r)
				return err
			}); err != nil {
				k.t.Fatal(err)
			}
		}
		move(d, 1)
		k.order("moved to the front", "d a b c")
		move(d, 3)
		k.order("moved back", "a b d c")
		move(a, 99)
		k.order("moved to the end", "b d c a")
		move(c, 0)
		k.order("changed without a position", "b d c a")
		if err := k.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.Remove(ctx, tx, d.ID)
			return err
		}); err != nil {
			k.t.Fatal(err)
		}
		k.order("after a removal", "b c a")
		after, err := k.Version(k.t.Context(), k.db)
		if err != nil || after != before+9 {
			k.t.Errorf("Version = %d, %v after 9 changes of %d", after, err, before)
		}
	})
}

// details returns an error with all its faults, as JSON.
func details(err error) string {
	e, _ := errors.AsType[*apierr.Error](err)
	b, _ := json.Marshal(e)
	return string(b)
}

func TestService_Refuses(t *testing.T) {
	each(t, func(k *testKit) {
		wrong := pricerule.Rule{
			Match: pricerule.Match{Provider: " x", GPUType: "a\x00", Region: strings.Repeat("r", 129)},
			Terms: pricerule.Terms{
				Percent: pricerule.MaxPercent + 1, FixedPerGPU: -pricerule.MaxPerGPU - 1, FloorPerGPU: -1,
				RoundUpTo: pricerule.MaxRounding + 1, Hidden: true,
			},
		}
		err := k.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.Add(ctx, tx, wrong)
			return err
		})
		for _, field := range []string{
			"provider", "gpuType", "region", "percent", "fixedPerGpu", "floorPerGpu", "roundUpTo", "hidden",
		} {
			if apierr.CodeOf(err) != apierr.InvalidRequest || !strings.Contains(details(err), `"`+field+`"`) {
				k.t.Errorf("Add = %v, want an error that names %s", err, field)
			}
		}
		for what, f := range map[string]func(ctx context.Context, tx *db.Tx) error{
			"Change": func(ctx context.Context, tx *db.Tx) error {
				_, err := k.Change(ctx, tx, pricerule.Rule{ID: "prl_none"})
				return err
			},
			"Remove": func(ctx context.Context, tx *db.Tx) error {
				_, err := k.Remove(ctx, tx, "prl_none")
				return err
			},
		} {
			if err := k.tx(f); apierr.CodeOf(err) != apierr.NotFound {
				k.t.Errorf("%s of an unknown rule = %v, want NOT_FOUND", what, err)
			}
		}
		err = k.tx(func(ctx context.Context, tx *db.Tx) error {
			for range pricerule.MaxRules + 1 {
				if _, err := k.Add(ctx, tx, pricerule.Rule{}); err != nil {
					return err
				}
			}
			return nil
		})
		if apierr.CodeOf(err) != apierr.LimitReached {
			k.t.Errorf("Add beyond the maximum = %v, want LIMIT_REACHED", err)
		}
	})
}

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	k := &testKit{pricerule.New(id.NewMaker(c, rand.Reader)), t, d}
	k.add("first", 0)
	var r pricerule.Rule
	change := func(f func(ctx context.Context, tx *db.Tx) error) func() error {
		return func() error { return k.tx(f) }
	}
	faults.FailEach(t, "Add", change(func(ctx context.Context, tx *db.Tx) (err error) {
		r, err = k.Add(ctx, tx, pricerule.Rule{})
		return err
	}))
	r.Position = 1
	faults.FailEach(t, "Change", change(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.Change(ctx, tx, r)
		return err
	}))
	faults.FailEach(t, "List", func() error { _, err := k.List(t.Context(), d); return err })
	faults.FailEach(t, "Version", func() error { _, err := k.Version(t.Context(), d); return err })
	faults.FailEach(t, "Remove", change(func(ctx context.Context, tx *db.Tx) error {
		_, err := k.Remove(ctx, tx, r.ID)
		return err
	}))
}
