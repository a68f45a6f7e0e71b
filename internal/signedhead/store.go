package signedhead

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/wallet"
)

// keyRow is a key.
type keyRow struct {
	id, public, private string
	createdAt           time.Time
}

var keys = db.NewTable("signed_head_key", func(k *keyRow) []db.Column {
	return []db.Column{
		db.Col("id", &k.id), db.Col("public_key", &k.public), db.Col("private_key", &k.private),
		db.Col("created_at", &k.createdAt),
	}
})

// allKeys returns the newest first.
func allKeys(ctx context.Context, r db.Reader) ([]keyRow, error) {
	return keys.Select(ctx, r, `ORDER BY created_at DESC, id`)
}

func findKey(ctx context.Context, r db.Reader, key string) (keyRow, bool, error) {
	return keys.Find(ctx, r, `WHERE id = $1`, key)
}

var statements = db.NewTable("signed_head_day", func(s *LedgerDay) []db.Column {
	return []db.Column{
		db.Col("day", &s.Day), db.Col("previous", &s.Previous), db.Col("root", &s.Root),
		db.Col("accounts", &s.Accounts), db.Col("transactions", &s.Transactions), db.Col("key_id", &s.KeyID),
		db.Col("signature", &s.Signature),
	}
})

func lastStatement(ctx context.Context, r db.Reader) (LedgerDay, bool, error) {
	return statements.Find(ctx, r, `ORDER BY day DESC LIMIT 1`)
}

func findStatement(ctx context.Context, r db.Reader, day string) (LedgerDay, bool, error) {
	return statements.Find(ctx, r, `WHERE day = $1`, day)
}

func allStatements(ctx context.Context, r db.Reader) ([]LedgerDay, error) {
	return statements.Select(ctx, r, `ORDER BY day`)
}

func insertStatement(ctx context.Context, tx *db.Tx, s LedgerDay) error {
	return statements.Insert(ctx, tx, s)
}

// headRow is a signed head.
type headRow struct {
	day string
	wallet.Head
}

var heads = db.NewTable("signed_head", func(h *headRow) []db.Column {
	return []db.Column{
		db.Col("day", &h.day), db.Col("account_id", &h.Account), db.Col("seq", &h.Seq), db.Col("hash", &h.Hash),
	}
})

// latestHeads returns the number of each account's newest signed transaction.
func latestHeads(ctx context.Context, r db.Reader) (map[id.ID]int64, error) {
	return db.CollectMap(ctx, r, db.Pair[id.ID, int64],
		`SELECT account_id, MAX(seq) FROM signed_head GROUP BY account_id`)
}

func insertHeads(ctx context.Context, tx *db.Tx, day string, all []wallet.Head) error {
	rows := make([]headRow, len(all))
	for i, h := range all {
		rows[i] = headRow{day, h}
	}
	return heads.Insert(ctx, tx, rows...)
}

// headFrom returns the account's first signed head that covers a transaction.
func headFrom(ctx context.Context, r db.Reader, account id.ID, seq int64) (headRow, bool, error) {
	return heads.Find(ctx, r, `WHERE account_id = $1 AND seq >= $2 ORDER BY seq LIMIT 1`, account, seq)
}

func headsOf(ctx context.Context, r db.Reader, day string) ([]headRow, error) {
	return heads.Select(ctx, r, `WHERE day = $1`, day)
}

// found is a signed head, and the hash that the ledger has at its number; nil if it has none.
type found struct {
	headRow
	now *string
}

// compared returns the heads of a day beside the ledger.
func compared(ctx context.Context, r db.Reader, day string) ([]found, error) {
	return db.Collect(ctx, r, func(row db.Row) (f found, err error) {
		err = row.Scan(&f.day, &f.Account, &f.Seq, &f.Hash, &f.now)
		return f, err
	}, `SELECT h.day, h.account_id, h.seq, h.hash, t.hash FROM signed_head h
		LEFT JOIN wallet_transaction t ON t.account_id = h.account_id AND t.seq = h.seq WHERE h.day = $1`, day)
}

// unknownDays returns the days of heads that have no statement.
func unknownDays(ctx context.Context, r db.Reader) ([]string, error) {
	return db.Collect(ctx, r, db.Value[string], `SELECT DISTINCT day FROM signed_head
		WHERE day NOT IN (SELECT day FROM signed_head_day) ORDER BY day`)
}
