package main

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// series returns a common table n(i) of the numbers from 1 to $1.
func series(engine db.Engine) string {
	if engine == db.Postgres {
		return `WITH n (i) AS (SELECT generate_series(1, CAST($1 AS BIGINT)))`
	}
	return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)`
}

// digits returns a number with a fixed number of digits, for ids that sort.
func digits(engine db.Engine, number string, width int) string {
	if engine == db.Postgres {
		return fmt.Sprintf(`lpad(CAST(%s AS TEXT), %d, '0')`, number, width)
	}
	return fmt.Sprintf(`printf('%%0%dd', %s)`, width, number)
}

// indexed matches the lines of the schema that create indexes other than keys.
var indexed = regexp.MustCompile(`(?i)^CREATE INDEX (\w+)`)

// withoutIndexes runs f while the table has no indexes other than keys: creating them afterwards
// is faster.
func withoutIndexes(ctx context.Context, engine db.Engine, pool *sql.DB, table string, f func() error) error {
	list := `SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL`
	if engine == db.Postgres {
		list = `SELECT indexdef FROM pg_indexes WHERE tablename = $1`
	}
	rows, err := pool.QueryContext(ctx, list, table)
	if err != nil {
		return err
	}
	var definitions []string
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return err
		}
		if indexed.MatchString(d) {
			definitions = append(definitions, d)
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	for _, d := range definitions {
		if _, err := pool.ExecContext(ctx, `DROP INDEX `+indexed.FindStringSubmatch(d)[1]); err != nil {
			return err
		}
	}
	if err := f(); err != nil {
		return err
	}
	for _, d := range definitions {
		if _, err := pool.ExecContext(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// fillEntries adds that many entries, two per transaction, to an empty wallet: a cent up, a cent
// down, and so on.
func fillEntries(ctx context.Context, engine db.Engine, pool *sql.DB, account id.ID, entries int) error {
	lines := entries / 2
	txn := `'txn_' || ` + digits(engine, "i", 26)
	amount := `CASE WHEN i % 2 = 1 THEN 10000 ELSE -10000 END`
	err := withoutIndexes(ctx, engine, pool, "wallet_transaction", func() error {
		_, err := pool.ExecContext(ctx, series(engine)+`
			INSERT INTO wallet_transaction (id, account_id, seq, type, amount, balance_after, available_after,
				description, provider, region, gpu_type, name, hash, created_at)
			SELECT `+txn+`, '`+string(account)+`', i, CASE WHEN i % 2 = 1 THEN 'top_up' ELSE 'adjustment' END,
				`+amount+`, i % 2 * 10000, i % 2 * 10000,
				'A cent of the bench', '', '', '', '', '', 1700000000000000 + i * 1000000 FROM n ORDER BY i`, lines)
		return err
	})
	if err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, series(engine)+`
		INSERT INTO wallet_entry (transaction_id, book, amount)
		SELECT `+txn+`, CASE side WHEN 0 THEN 'funding' ELSE 'wallet/`+string(account)+`' END,
			(`+amount+`) * (2 * side - 1)
		FROM n CROSS JOIN (SELECT 0 AS side UNION ALL SELECT 1) AS s ORDER BY i, side`, lines)
	if err != nil {
		return err
	}
	if engine == db.Postgres { // what autovacuum would do later
		if _, err := pool.ExecContext(ctx, `VACUUM ANALYZE wallet_transaction, wallet_entry`); err != nil {
			return err
		}
	}
	_, err = pool.ExecContext(
		ctx, `UPDATE wallet SET available = $1, seq = $2 WHERE account_id = $3`, lines%2*10000, lines,
		string(account),
	)
	return err
}

// fillMeters creates that many running meters and their accounts. Each account has a hundred
// meters and money for a year. All are due: their first hours began within the hour before now.
func fillMeters(ctx context.Context, engine db.Engine, pool *sql.DB, running int, now int64) error {
	accounts, credit := (running+99)/100, int64(100_000_000_000_000)
	account, txn := `'acc_' || `+digits(engine, "i", 26), `'txn_' || `+digits(engine, "i", 26)
	for _, s := range []struct {
		text string
		n    int
	}{
		{`INSERT INTO wallet (account_id, available, held, seq, hash) SELECT ` + account + fmt.Sprintf(
			`, %d, 0, 1, '' FROM n ORDER BY i`, credit,
		), accounts},
		{`INSERT INTO wallet_transaction (id, account_id, seq, type, amount, balance_after, available_after,
				description, provider, region, gpu_type, name, hash, created_at)
			SELECT ` + txn + `, ` + account + `, 1, ` + fmt.Sprintf(
			`'top_up', %d, %d, %d, 'paid in', '', '', '', '', '', 1700000000000000 FROM n ORDER BY i`,
			credit, credit, credit,
		), accounts},
		{`INSERT INTO wallet_entry (transaction_id, book, amount) SELECT ` + txn + fmt.Sprintf(
			`, 'funding', %d FROM n`, -credit,
		), accounts},
		{`INSERT INTO wallet_entry (transaction_id, book, amount) SELECT ` + txn + `, 'wallet/' || ` + account +
			fmt.Sprintf(`, %d FROM n`, credit), accounts},
		{`INSERT INTO meter (subject, account_id, description, name, provider, region, gpu_type, hourly_price,
				started_at, hours, next_at, cost)
			SELECT 'dep_' || ` + digits(engine, "i", 26) + `, 'acc_' || ` + digits(engine, "(i + 99) / 100", 26) + `,
				'8 × NVIDIA B200', 'training-run-' || CAST(i AS TEXT),
				'warehouse', 'dallas-usa-5', 'NVIDIA B200', 23920000, ` + fmt.Sprintf(
			`%d - i %% 3600 * 1000000, 0, %d - i %% 3600 * 1000000, 0 FROM n ORDER BY i`, now, now,
		), running},
	} {
		if _, err := pool.ExecContext(ctx, series(engine)+` `+s.text, s.n); err != nil {
			return fmt.Errorf("%w in %s", err, s.text)
		}
	}
	if engine == db.Postgres {
		_, err := pool.ExecContext(ctx, `ANALYZE`)
		return err
	}
	return nil
}
