package provideraccount_test

import (
	"context"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provideraccount"
)

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	d, faults := dbtest.Recorded(t, db.SQLite, clock.NewFrozen(dbtest.Start))
	s := service(t, 'a')
	const slug = "iron-park"
	write := func(name string, f func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		faults.FailEachTx(t, name, d, f)
	}
	write("Add", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Add(ctx, tx, provideraccount.Provider{Kind: slug}, key)
		return err
	})
	write("ChangeKey", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.ChangeKey(ctx, tx, slug, "another")
		return err
	})
	write("ChangeMarkup", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.ChangeMarkup(ctx, tx, slug, new(int64(500)))
		return err
	})
	write("Update", func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Update(ctx, tx, slug, provideraccount.Update{Name: new("Iron"), Credential: "third"})
		return err
	})
	for _, use := range []provider.Use{provider.Paused, provider.Draining, provider.Sells} {
		write("SetUse", func(ctx context.Context, tx *db.Tx) error {
			_, _, err := s.SetUse(ctx, tx, slug, use)
			return err
		})
	}
	for name, f := range map[string]func(ctx context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := s.Get(ctx, d, slug); return err },
		"List":    func(ctx context.Context) error { _, err := s.List(ctx, d); return err },
		"Version": func(ctx context.Context) error { _, err := s.Version(ctx, d); return err },
		"Open":    func(ctx context.Context) error { _, err := s.Open(ctx, d, nil, provideraccount.Env{}); return err },
	} {
		faults.FailEach(t, name, func() error { return f(t.Context()) })
	}
	write("Remove", func(ctx context.Context, tx *db.Tx) error { return s.Remove(ctx, tx, slug) })
}
