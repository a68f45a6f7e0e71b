package issue_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/provider"
)

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	c := clock.NewFrozen(dbtest.Start)
	d, faults := dbtest.Recorded(t, db.SQLite, c)
	r := newKit(t, d, c, endOrphans)
	r.cloud.machines["dep_1"] = true
	report := func(seen ...issue.Sighting) func(ctx context.Context, tx *db.Tx) error {
		return func(ctx context.Context, tx *db.Tx) error { return r.Report(ctx, tx, slug, issue.Kinds, seen) }
	}
	page := db.Page{Number: 1, Limit: 10}
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	write("Report", report(orphan(1), foreign("a")))
	write("Report again", report(orphan(1), foreign("a")))
	write("Raise", func(ctx context.Context, tx *db.Tx) error { return r.Raise(ctx, tx, slug, foreign("b")) })
	write("SettleOthers", func(ctx context.Context, tx *db.Tx) error {
		return r.SettleOthers(ctx, tx, slug, issue.Sighting{Kind: issue.MissingExchangeRate}, tx.Now)
	})
	all := r.all()
	if len(all) != 3 {
		t.Fatalf("%d issues after failures, want 3: %+v", len(all), all)
	}
	byUpstream := map[string]id.ID{}
	for _, i := range all {
		byUpstream[*i.UpstreamID] = i.ID
	}
	machine := byUpstream["no-1"]
	for name, f := range map[string]func() error{
		"List":   func() error { _, _, err := r.List(t.Context(), d, issue.Filter{}, page); return err },
		"Get":    func() error { _, err := r.Get(t.Context(), d, machine); return err },
		"Counts": func() error { _, err := r.Counts(t.Context(), d); return err },
		"Live":   func() error { _, err := r.Live(t.Context(), d, slug, issue.Kinds); return err },
	} {
		faults.FailEach(t, name, f)
	}
	write("Dismiss", func(ctx context.Context, tx *db.Tx) error {
		_, err := r.Dismiss(ctx, tx, byUpstream["a"], "ours")
		return err
	})
	write("End", func(ctx context.Context, tx *db.Tx) error { _, err := r.End(ctx, tx, machine); return err })
	remover := issue.NewRemover(issue.RemoverConfig{
		DB: d, Clock: c, Issues: r.Service, Providers: provider.NewRegistry(r.cloud),
	})
	faults.FailEach(t, "Remover.End", func() error { _, err := remover.End(t.Context(), machine); return err })
	if len(r.cloud.machines) != 0 {
		t.Errorf("the machine was not ended")
	}
	r.clock.Advance(10 * time.Minute)
	write("Report of what is gone", report(foreign("a"), foreign("b")))
	if got, err := r.Get(t.Context(), d, machine); err != nil || got.State != issue.StateEnded {
		t.Errorf("the issue of the ended machine is %+v, %v; want it ended", got, err)
	}
}
