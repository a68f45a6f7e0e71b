package account

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var views = db.NewTable("account_view", func(v *View) []db.Column {
	return []db.Column{
		db.Col("session_id", &v.Session), db.Col("user_id", &v.User), db.Col("user_name", &v.UserName),
		db.Col("home_id", &v.Home), db.Col("account_id", &v.Account), db.Col("reason", &v.Reason),
		db.Col("started_at", &v.StartedAt), db.Col("ends_at", &v.EndsAt),
	}
})

// insertView reports whether it inserted the view: of concurrent calls for a session, one does.
func insertView(ctx context.Context, tx *db.Tx, v View) (bool, error) {
	n, err := views.InsertNew(ctx, tx, "session_id", v)
	return n == 1, err
}

func viewOf(ctx context.Context, r db.Reader, session id.ID) (View, bool, error) {
	return views.Find(ctx, r, `WHERE session_id = $1`, session)
}

// deleteView returns the view that it deleted: of concurrent calls, one does.
func deleteView(ctx context.Context, tx *db.Tx, session id.ID) (View, bool, error) {
	return db.Find(ctx, tx, views.Scan, `DELETE FROM account_view WHERE session_id = $1 RETURNING `+views.Columns(),
		session)
}

// deleteThisView is deleteView of that view, and not of one that the session began since.
func deleteThisView(ctx context.Context, tx *db.Tx, v View) (View, bool, error) {
	return db.Find(ctx, tx, views.Scan, `DELETE FROM account_view WHERE session_id = $1 AND started_at = $2
		RETURNING `+views.Columns(), v.Session, v.StartedAt)
}

func overdueViews(ctx context.Context, r db.Reader, now time.Time) ([]View, error) {
	return views.Select(ctx, r, `WHERE ends_at <= $1
		OR NOT EXISTS (SELECT 1 FROM session WHERE session.id = account_view.session_id)
		ORDER BY session_id LIMIT 100`, now)
}
