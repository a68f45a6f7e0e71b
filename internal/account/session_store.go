package account

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const sessionColumns = `s.id, s.account_id, m.role, s.created_at, s.seen_at, s.expires_at, s.address,
	s.user_agent, ` + userColumns

const sessionTables = `session s JOIN users p ON p.id = s.user_id
	JOIN membership m ON m.account_id = s.account_id AND m.user_id = s.user_id`

func scanSession(row db.Row) (n Session, err error) {
	own := []any{&n.ID, &n.Account, &n.Role, &n.CreatedAt, &n.SeenAt, &n.ExpiresAt, &n.Address, &n.UserAgent}
	err = row.Scan(append(own, n.User.fields()...)...)
	return n, err
}

// sessionByHash is the only query for a session without a user: the token identifies the user.
// There is no session in an account whose member the user no longer is.
func sessionByHash(ctx context.Context, r db.Reader, tokenHash string) (Session, bool, error) {
	return db.Find(ctx, r, scanSession,
		`SELECT `+sessionColumns+` FROM `+sessionTables+` WHERE s.token_hash = $1`, tokenHash)
}

func listSessions(ctx context.Context, r db.Reader, user id.ID, now time.Time, p db.Page) ([]Session, db.Listed,
	error) {
	return db.List[Session]{
		Columns: sessionColumns, Table: sessionTables, Scan: scanSession,
		Order: []db.Key{{Column: `s.created_at`, Number: true}, {Column: `s.id`}}, Down: true,
		Where: []db.Cond{
			db.Is(`s.user_id`, user), {Text: `s.expires_at > ?`, Args: []any{now}},
			{Text: `s.seen_at > ?`, Args: []any{now.Add(-SessionIdle)}},
		},
	}.Page(ctx, r, p)
}

func insertSession(ctx context.Context, tx *db.Tx, n Session, tokenHash string) error {
	_, err := tx.Exec(ctx, `INSERT INTO session
		(token_hash, id, user_id, account_id, address, user_agent, created_at, seen_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		tokenHash, n.ID, n.User.ID, n.Account, n.Address, n.UserAgent, n.CreatedAt, n.SeenAt, n.ExpiresAt)
	return err
}

// deleteOldSessions deletes all but the newest sessions of a user.
func deleteOldSessions(ctx context.Context, tx *db.Tx, user id.ID, most int) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE user_id = $1 AND id NOT IN
		(SELECT id FROM session WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)`, user, most)
	return err
}

// moveSession also sets the account in which the user's next session starts.
func moveSession(ctx context.Context, tx *db.Tx, n Session) error {
	if _, err := tx.Exec(ctx, `UPDATE users SET account_id = $1 WHERE id = $2`, n.Account, n.User.ID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE session SET account_id = $1 WHERE id = $2 AND user_id = $3`, n.Account, n.ID,
		n.User.ID)
	return err
}

func deleteSession(ctx context.Context, tx *db.Tx, tokenHash string) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE token_hash = $1`, tokenHash)
	return err
}

func deleteSessionByID(ctx context.Context, tx *db.Tx, user, session id.ID) (bool, error) {
	if !session.Valid(id.Session) {
		return false, nil
	}
	n, err := tx.Exec(ctx, `DELETE FROM session WHERE user_id = $1 AND id = $2`, user, session)
	return n == 1, err
}

func deleteSessions(ctx context.Context, tx *db.Tx, user, spare id.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE user_id = $1 AND id <> $2`, user, spare)
	return err
}

// deleteEndedSessions keeps the table as small as the sign-ins of seven days.
func deleteEndedSessions(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM session WHERE expires_at <= $1`, tx.Now)
	return err
}

// touchSessions updates in the order of the hashes, as touchKeys does by id.
func touchSessions(ctx context.Context, tx *db.Tx, seen map[string]time.Time) error {
	for _, hash := range slices.Sorted(maps.Keys(seen)) {
		at := seen[hash]
		if _, err := tx.Exec(ctx, `UPDATE session SET seen_at = $1 WHERE token_hash = $2 AND seen_at < $1`, at,
			hash); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE membership SET seen_at = $1 WHERE (seen_at IS NULL OR seen_at < $1) AND EXISTS (
			SELECT 1 FROM session s
			WHERE s.token_hash = $2 AND s.account_id = membership.account_id
			AND s.user_id = membership.user_id)`, at, hash)
		if err != nil {
			return err
		}
	}
	return nil
}
