package account

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// maxRecipients bounds how many mails one event causes.
const maxRecipients = 1000

func mailRecipients(ctx context.Context, r db.Reader, account id.ID, roles []Role) ([]MailRecipient, error) {
	if len(roles) == 0 {
		return nil, nil
	}
	scan := func(row db.Row) (m MailRecipient, err error) {
		var off string
		err = row.Scan(&m.User, &m.Email, &off)
		m.Off = strings.Fields(off)
		return m, err
	}
	args := []any{account, maxRecipients}
	for _, role := range roles {
		args = append(args, string(role))
	}
	return db.Collect(ctx, r, scan, `SELECT p.id, p.email, m.mail_off FROM `+memberTables+`
		WHERE m.account_id = $1 AND m.role IN `+db.In(3, len(roles))+` ORDER BY m.created_at, m.user_id
		LIMIT $2`, args...)
}

func mailOff(ctx context.Context, r db.Reader, account, user id.ID) ([]string, bool, error) {
	off, found, err := db.Find(ctx, r, db.Value[string],
		`SELECT mail_off FROM membership WHERE account_id = $1 AND user_id = $2`+db.ForUpdate(r), account, user)
	return strings.Fields(off), found, err
}

func setMailOff(ctx context.Context, tx *db.Tx, account, user id.ID, kinds []string) error {
	_, err := tx.Exec(ctx, `UPDATE membership SET mail_off = $1 WHERE account_id = $2 AND user_id = $3`,
		strings.Join(kinds, " "), account, user)
	return err
}

func accountsAfter(ctx context.Context, r db.Reader, account id.ID, limit int) ([]id.ID, error) {
	return db.Collect(ctx, r, db.Value[id.ID], `SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2`,
		account, limit)
}
