package settings_test

import (
	"context"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/settings"
)

func TestNoFailedStatementIsIgnored(t *testing.T) {
	t.Parallel()
	d, faults := dbtest.Recorded(t, db.SQLite, clock.NewFrozen(dbtest.Start))
	m := &machine{now: dbtest.Start}
	s := newService(t, d, m)
	c, err := settings.Assign([]string{"installation.name=Example Cloud"})
	if err != nil {
		t.Fatal(err)
	}
	faults.FailEachTx(t, "Update", d, func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Update(ctx, tx, c)
		return err
	})
	for name, f := range map[string]func(ctx context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := s.Get(ctx, d); return err },
		"Peek":    func(ctx context.Context) error { m.advance(time.Hour); _, err := s.Peek(ctx, d); return err },
		"Current": func(ctx context.Context) error { m.advance(time.Hour); _, err := s.Current(ctx); return err },
	} {
		faults.FailEach(t, name, func() error { return f(t.Context()) })
	}
}
