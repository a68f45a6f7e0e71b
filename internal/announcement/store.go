package announcement

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var announcements = db.NewTable("announcement", func(a *Announcement) []db.Column {
	return []db.Column{
		db.Col("id", &a.ID), db.Col("title", &a.Title), db.Col("text", &a.Text), db.Col("level", &a.Level),
		db.Col("starts_at", &a.StartsAt), db.Col("ends_at", &a.EndsAt), db.Col("provider", &a.Provider),
		db.Col("region", &a.Region), db.Col("banner", &a.Banner), db.Col("mail", &a.Mail),
		db.Col("mailed", &a.mailed), db.Col("mailed_at", &a.MailedAt), db.Col("created_at", &a.CreatedAt),
		db.Col("changed_at", &a.ChangedAt),
	}
})

func find(ctx context.Context, r db.Reader, of id.ID) (Announcement, bool, error) {
	return announcements.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), of)
}

func list(ctx context.Context, r db.Reader, p db.Page) ([]Announcement, db.Listed, error) {
	l := announcements.List()
	l.Order, l.Down = db.NewestFirst.Sorting()
	return l.Page(ctx, r, p)
}

// shown returns the announcements with a banner that have begun and not ended, newest first.
func shown(ctx context.Context, r db.Reader, now time.Time) ([]Announcement, error) {
	return announcements.Select(ctx, r, `WHERE ends_at > $1 AND starts_at <= $1 AND banner = 1
		ORDER BY starts_at DESC, id DESC LIMIT $2`, now, maxOpen)
}

func countOpen(ctx context.Context, r db.Reader, now time.Time) (n int64, err error) {
	err = r.QueryRow(ctx, `SELECT COUNT(*) FROM announcement WHERE ends_at > $1`, now).Scan(&n)
	return n, err
}

func put(ctx context.Context, tx *db.Tx, a Announcement) error {
	return announcements.Put(ctx, tx, []string{"id"}, a)
}

func remove(ctx context.Context, tx *db.Tx, of id.ID) error {
	_, err := announcements.Delete(ctx, tx, db.Is("id", of))
	return err
}

// purge deletes announcements that ended before the instant.
func purge(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := announcements.Delete(ctx, tx, db.Cond{Text: `ends_at < ?`, Args: []any{before}})
	return err
}
