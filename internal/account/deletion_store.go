package account

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// deletedName is the name of a user who was deleted.
const deletedName = "Deleted user"

// accountsOf returns the accounts that the user is a member of, in their order.
func accountsOf(ctx context.Context, r db.Reader, user id.ID) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID],
		`SELECT account_id FROM membership WHERE user_id = $1 ORDER BY account_id`, user)
}

// eraseUser deletes what a user without memberships and second factors is known by. In place of the
// email address is the ID, with which no one can sign in or register.
func eraseUser(ctx context.Context, tx *db.Tx, p User) error {
	if err := revokeAllKeysBy(ctx, tx, p.ID); err != nil {
		return err
	}
	for _, s := range []struct {
		text string
		args []any
	}{
		{`DELETE FROM session WHERE user_id = $1`, []any{p.ID}},
		{`DELETE FROM identity WHERE user_id = $1`, []any{p.ID}},
		{`DELETE FROM challenge WHERE user_id = $1`, []any{p.ID}},
		{`DELETE FROM email_link WHERE email = $1`, []any{p.Email}},
		{`UPDATE invitation SET revoked_at = $1 WHERE email = $2 AND accepted_at IS NULL AND revoked_at IS NULL`,
			[]any{tx.Now, p.Email}},
		{`UPDATE invitation SET email = $1 WHERE email = $2`, []any{p.ID, p.Email}},
		{`UPDATE users SET email = id, name = $1, password_hash = '', email_proved_at = NULL WHERE id = $2`,
			[]any{deletedName, p.ID}},
	} {
		if _, err := tx.Exec(ctx, s.text, s.args...); err != nil {
			return fmt.Errorf("delete a user: %w", err)
		}
	}
	return nil
}
