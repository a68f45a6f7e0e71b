package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// file is a file of the archive, which has the rows from first to last, both included.
type file struct {
	kind        string
	first, last id.ID
	lines       int64
	sha256      string // "" while its rows are not deleted
	createdAt   time.Time
}

// name is the name of the file in the folder of its kind and day.
func (f file) name() string { return string(f.first) + "-" + string(f.last) + ".jsonl" }

var files = db.NewTable("archive_file", func(f *file) []db.Column {
	return []db.Column{
		db.Col("kind", &f.kind), db.Col("first_id", &f.first), db.Col("last_id", &f.last), db.Col("lines", &f.lines),
		db.Col("sha256", &f.sha256), db.Col("created_at", &f.createdAt),
	}
})

// openFile returns the file of the kind that was begun and whose rows are not deleted.
func openFile(ctx context.Context, r db.Reader, kind string) (file, bool, error) {
	return files.Find(ctx, r, `WHERE kind = $1 AND sha256 = ''`, kind)
}

// begin writes a file that is about to be written. If another server has begun one of the kind, it
// does nothing: that one is finished first.
func begin(ctx context.Context, tx *db.Tx, f file) error {
	n, err := files.InsertNew(ctx, tx, "", f)
	if err == nil && n == 0 {
		err = fmt.Errorf("begin to archive %s: another server has begun", f.kind)
	}
	return err
}

// open are the conditions of a file that was begun and whose rows are not deleted.
func (f file) open() []db.Cond {
	return []db.Cond{
		db.Is("kind", f.kind), db.Is("first_id", f.first), db.Is("last_id", f.last), db.Is("sha256", ""),
	}
}

// setLines changes how many lines an open file has, or returns errOther.
func setLines(ctx context.Context, tx *db.Tx, f file, lines int64) error {
	f.lines = lines
	n, err := files.Update(ctx, tx, &f, []string{"lines"}, f.open()...)
	if err == nil && n == 0 {
		err = errOther
	}
	return err
}

// finish writes that the file is complete, or returns errOther. The caller deletes the rows.
func finish(ctx context.Context, tx *db.Tx, f file) error {
	n, err := files.Update(ctx, tx, &f, []string{"lines", "sha256"}, f.open()...)
	if err == nil && n == 0 {
		err = errOther
	}
	return err
}

// forgetOpen deletes a file that was begun and is not finished any more.
func forgetOpen(ctx context.Context, tx *db.Tx, kind string) error {
	_, err := files.Delete(ctx, tx, db.Is("kind", kind), db.Is("sha256", ""))
	return err
}
