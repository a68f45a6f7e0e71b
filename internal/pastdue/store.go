package pastdue

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// state is the progress of an account's period below zero.
type state struct {
	account                          id.ID
	since, warnedAt                  time.Time
	deploymentsEnded, volumesDeleted *time.Time
}

func (s *state) columns() []db.Column {
	return []db.Column{
		db.Col("account_id", &s.account),
		db.Col("since", &s.since),
		db.Col("warned_at", &s.warnedAt),
		db.Col("ended_at", &s.deploymentsEnded),
		db.Col("deleted_at", &s.volumesDeleted),
	}
}

var states = db.NewTable("past_due", (*state).columns)

func find(ctx context.Context, tx *db.Tx, account id.ID) (state, bool, error) {
	return states.Find(ctx, tx, `WHERE account_id = $1`, account)
}

func put(ctx context.Context, tx *db.Tx, s state) error {
	return states.Put(ctx, tx, []string{"account_id"}, s)
}

func remove(ctx context.Context, tx *db.Tx, account id.ID) error {
	_, err := states.Delete(ctx, tx, db.Is("account_id", account))
	return err
}
