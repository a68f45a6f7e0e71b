package payment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
)

type eventRow struct {
	processor, id string
	at            time.Time
}

var events = db.NewTable("payment_event", func(e *eventRow) []db.Column {
	return []db.Column{db.Col("processor", &e.processor), db.Col("id", &e.id), db.Col("at", &e.at)}
})

func hasEvent(ctx context.Context, r db.Reader, processor, event string) (bool, error) {
	_, found, err := events.Find(ctx, r, `WHERE processor = $1 AND id = $2`, processor, event)
	return found, err
}

func insertEvent(ctx context.Context, tx *db.Tx, processor, event string, now time.Time) error {
	_, err := events.InsertNew(ctx, tx, "processor, id", eventRow{processor, event, now})
	return err
}

func purgeEvents(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM payment_event WHERE at < $1`, before)
	return err
}

type cursorRow struct {
	processor, kind string
	until           time.Time
}

var cursors = db.NewTable("payment_cursor", func(c *cursorRow) []db.Column {
	return []db.Column{db.Col("processor", &c.processor), db.Col("kind", &c.kind), db.Col("until", &c.until)}
})

func cursor(ctx context.Context, r db.Reader, processor, kind string) (time.Time, bool, error) {
	c, found, err := cursors.Find(ctx, r, `WHERE processor = $1 AND kind = $2`, processor, kind)
	return c.until, found, err
}

func setCursor(ctx context.Context, tx *db.Tx, processor, kind string, until time.Time) error {
	return cursors.Put(ctx, tx, []string{"processor", "kind"}, cursorRow{processor, kind, until})
}
