package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

type scanner = db.Row

// one turns "no such row" into found = false.
func one[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		var none T
		return none, false, nil
	}
	return v, err == nil, err
}

// all scans every row of a query into a list that is never nil.
func all[T any](rows *db.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

const accountColumns = `id, name, created_at, markup`

func scanAccount(row scanner) (Account, error) {
	var a Account
	var created int64
	var markup sql.NullInt64
	err := row.Scan(&a.ID, &a.Name, &created, &markup)
	a.CreatedAt = db.At(created)
	if markup.Valid {
		a.Markup = &markup.Int64
	}
	return a, err
}

func insertAccount(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := tx.Exec(ctx, `INSERT INTO account (id, name, created_at) VALUES ($1, $2, $3)`, a.ID, a.Name, db.Micros(a.CreatedAt))
	return err
}

func listAccounts(ctx context.Context, r db.Reader, p db.Page) ([]Account, db.Listed, error) {
	return db.List[Account]{
		Columns: accountColumns, Table: `account`, Order: []db.Key{{Column: `id`}}, Down: true, Scan: scanAccount,
	}.Page(ctx, r, p)
}

// accountByID does not ask for what cannot be an id: it may hold bytes that PostgreSQL refuses.
func accountByID(ctx context.Context, r db.Reader, account id.ID) (Account, bool, error) {
	if !account.Valid(id.Account) {
		return Account{}, false, nil
	}
	return one(scanAccount(r.QueryRow(ctx, `SELECT `+accountColumns+` FROM account WHERE id = $1`, account)))
}

func setMarkup(ctx context.Context, tx *db.Tx, account id.ID, basisPoints *int64) error {
	_, err := tx.Exec(ctx, `UPDATE account SET markup = $2 WHERE id = $1`, account, basisPoints)
	return err
}

func markups(ctx context.Context, r db.Reader) (map[id.ID]int64, error) {
	rows, err := r.Query(ctx, `SELECT id, markup FROM account WHERE markup IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[id.ID]int64{}
	for rows.Next() {
		var account id.ID
		var markup int64
		if err := rows.Scan(&account, &markup); err != nil {
			return nil, err
		}
		out[account] = markup
	}
	return out, rows.Err()
}
