package osimage

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// row is an image with its account.
type row struct {
	Image
	account id.ID
}

var images = db.NewTable("os_image", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("account_id", &r.account), db.Col("name", &r.Name), db.Col("url", &r.URL),
		db.Col("sha256", &r.SHA256), db.Col("format", &r.Format), db.Col("size_bytes", &r.SizeBytes),
		db.Col("created_at", &r.CreatedAt), db.Derived("name_key", strings.ToLower(r.Name)),
		db.Col("creator_type", &r.CreatedBy.Type), db.Col("creator_id", &r.CreatedBy.ID),
		db.Col("creator_name", &r.CreatedBy.Name),
	}
})

func scan(r db.Row) (Image, error) {
	v, err := images.Scan(r)
	return v.Image, err
}

func list(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Image, db.Listed, error) {
	l := db.List[Image]{Columns: images.Columns(), Table: `os_image`, Scan: scan,
		Where: append([]db.Cond{db.Is(`account_id`, account)}, db.NameIs(f.Name)...), Rest: db.NameOrIDHas(f.Search)}
	l.Order, l.Down = o.Sorting()
	return l.Page(ctx, r, p)
}

// byID returns an image. In a transaction that writes, its row is locked.
func byID(ctx context.Context, r db.Reader, account, image id.ID) (Image, bool, error) {
	if !image.Valid(id.Image) {
		return Image{}, false, nil
	}
	v, found, err := images.Find(ctx, r, `WHERE account_id = $1 AND id = $2`+db.ForUpdate(r), account, image)
	return v.Image, found, err
}

func byName(ctx context.Context, r db.Reader, account id.ID, name string) (Image, bool, error) {
	v, found, err := images.Find(ctx, r, `WHERE account_id = $1 AND name = $2`, account, name)
	return v.Image, found, err
}

// insert reports whether it inserted the row; false means that the account has the name.
func insert(ctx context.Context, tx *db.Tx, account id.ID, i Image) (bool, error) {
	n, err := images.InsertNew(ctx, tx, "", row{i, account})
	return n == 1, err
}

func remove(ctx context.Context, tx *db.Tx, account, image id.ID) error {
	_, err := images.Delete(ctx, tx, db.Is("account_id", account), db.Is("id", image))
	return err
}

func count(ctx context.Context, tx *db.Tx, account id.ID) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM os_image WHERE account_id = $1`, account).Scan(&n)
	return n, err
}
