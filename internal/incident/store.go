package incident

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
)

var incidents = db.NewTable("provider_incident", func(i *Incident) []db.Column {
	return []db.Column{
		db.Col("id", &i.ID), db.Col("provider", &i.Provider), db.Col("kind", &i.Kind),
		db.Col("started_at", &i.StartedAt), db.Col("answered_at", &i.answeredAt), db.Col("ended_at", &i.EndedAt),
		db.Col("told", &i.told), db.Col("told_at", &i.toldAt),
	}
})

// toldAccount is an account that was told of the beginning of an incident, and not yet of its end.
type toldAccount struct{ incident, account id.ID }

var toldAccounts = db.NewTable("provider_incident_account", func(t *toldAccount) []db.Column {
	return []db.Column{db.Col("incident_id", &t.incident), db.Col("account_id", &t.account)}
})

func open(ctx context.Context, r db.Reader) ([]Incident, error) {
	return incidents.Select(ctx, r, `WHERE ended_at IS NULL ORDER BY id`+db.ForUpdate(r))
}

func find(ctx context.Context, r db.Reader, of id.ID) (Incident, bool, error) {
	return incidents.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), of)
}

func recent(ctx context.Context, r db.Reader, after time.Time) ([]Incident, error) {
	return incidents.Select(ctx, r, `WHERE ended_at IS NULL OR ended_at > $1
		ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, started_at DESC, id DESC LIMIT $2`, after, maxRecent)
}

func update(ctx context.Context, tx *db.Tx, i Incident) error {
	_, err := incidents.Update(ctx, tx, &i, []string{"answered_at", "ended_at", "told", "told_at"}, db.Is("id", i.ID))
	return err
}

func insertTold(ctx context.Context, tx *db.Tx, of id.ID, accounts []deployment.AccountMachines) error {
	rows := make([]toldAccount, len(accounts))
	for i, a := range accounts {
		rows[i] = toldAccount{of, a.Account}
	}
	return toldAccounts.Insert(ctx, tx, rows...)
}

// takeTold deletes up to limit of the accounts that were told, and returns them in order.
func takeTold(ctx context.Context, tx *db.Tx, of id.ID, limit int) ([]id.ID, error) {
	rows, err := toldAccounts.Select(ctx, tx, `WHERE incident_id = $1 ORDER BY account_id LIMIT $2`, of, limit)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	accounts := make([]id.ID, len(rows))
	for i, t := range rows {
		accounts[i] = t.account
	}
	_, err = toldAccounts.Delete(ctx, tx, db.Is("incident_id", of), db.IsOneOf("account_id", accounts))
	return accounts, err
}

// forgetTold forgets who was told of the beginning.
func forgetTold(ctx context.Context, tx *db.Tx, of id.ID) error {
	_, err := toldAccounts.Delete(ctx, tx, db.Is("incident_id", of))
	return err
}

// purge deletes incidents that ended before the instant.
func purge(ctx context.Context, tx *db.Tx, before time.Time) error {
	_, err := incidents.Delete(ctx, tx, db.Cond{Text: `ended_at < ?`, Args: []any{before}})
	return err
}
