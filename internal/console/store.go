package console

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

var sessions = db.NewTable("console_session", func(s *Session) []db.Column {
	return []db.Column{
		db.Col("deployment_id", &s.Deployment), db.Col("id", &s.ID), db.Col("account_id", &s.Account),
		db.Col("actor_kind", &s.Actor.Kind), db.Col("actor_id", &s.Actor.ID), db.Col("actor_name", &s.Actor.Name),
		db.Col("address", &s.Address), db.Col("request_id", &s.RequestID), db.Col("opened_at", &s.openedAt),
		db.Col("seen_at", &s.seenAt),
	}
})

// find reads the session of a deployment. In a transaction that writes it locks it.
func find(ctx context.Context, r db.Reader, deployment id.ID) (Session, bool, error) {
	return sessions.Find(ctx, r, `WHERE deployment_id = $1`+db.ForUpdate(r), deployment)
}

// add inserts a session; false if the deployment has another one.
func add(ctx context.Context, tx *db.Tx, s Session) (bool, error) {
	n, err := sessions.InsertNew(ctx, tx, "deployment_id", s)
	return n == 1, err
}

// renew writes when a session was last seen; false if it has ended.
func renew(ctx context.Context, tx *db.Tx, of id.ID, at time.Time) (bool, error) {
	n, err := sessions.Update(ctx, tx, &Session{seenAt: at}, []string{"seen_at"}, db.Is("id", of))
	return n == 1, err
}

// remove deletes a session; false if it has ended already.
func remove(ctx context.Context, tx *db.Tx, of id.ID) (bool, error) {
	n, err := sessions.Delete(ctx, tx, db.Is("id", of))
	return n == 1, err
}
