package secret

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
)

// sealedText is a sealed text of a column.
type sealedText struct{ key, owner, text string }

// count returns how many texts of the column begin with the name of each key.
func count(ctx context.Context, r db.Reader, c Column) (map[string]int64, error) {
	return db.CollectMap(ctx, r, db.Pair[string, int64], `
		SELECT substr(`+c.Column+`, 1, $1), COUNT(*) FROM `+c.Table+` WHERE `+c.Column+` <> '' GROUP BY 1`,
		len(sealedBy("00000000")))
}

// sealedWith returns the texts of the column that the key of that name has sealed, of some rows
// after a key.
func sealedWith(ctx context.Context, tx *db.Tx, c Column, name, after string) ([]sealedText, error) {
	prefix := sealedBy(name)
	scan := func(row db.Row) (t sealedText, err error) {
		err = row.Scan(&t.key, &t.owner, &t.text)
		return t, err
	}
	if c.Key == "" {
		return db.Collect(ctx, tx, scan, `SELECT '', '', `+c.Column+` FROM `+c.Table+`
			WHERE substr(`+c.Column+`, 1, $1) = $2`, len(prefix), prefix)
	}
	owner := c.Owner
	if owner == "" {
		owner = c.Key
	}
	return db.Collect(ctx, tx, scan, `SELECT `+c.Key+`, `+owner+`, `+c.Column+` FROM `+c.Table+`
		WHERE `+c.Key+` > $1 AND substr(`+c.Column+`, 1, $2) = $3 ORDER BY `+c.Key+` LIMIT $4`,
		after, len(prefix), prefix, batch)
}

// replace writes a text in place of the one that was read, and returns 0 if that is another by now.
func replace(ctx context.Context, tx *db.Tx, c Column, was sealedText, text string) (int64, error) {
	if c.Key == "" {
		return tx.Exec(ctx, `UPDATE `+c.Table+` SET `+c.Column+` = $1 WHERE `+c.Column+` = $2`, text, was.text)
	}
	return tx.Exec(ctx, `UPDATE `+c.Table+` SET `+c.Column+` = $1 WHERE `+c.Key+` = $2 AND `+c.Column+` = $3`,
		text, was.key, was.text)
}
