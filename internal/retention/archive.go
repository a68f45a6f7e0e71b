package retention

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// errOther means that another server has deleted the range meanwhile.
var errOther = errors.New("retention: another server has archived these rows")

// noFile is the SHA-256 of a file that was not written, because none of its rows were left.
const noFile = "none"

// errLines means that a range no longer has as many rows as its file has lines.
var errLines = errors.New("retention: rows were deleted while they were archived")

// CheckDir creates the folder of the archive if there is none, and makes sure that a file can be
// written there.
func CheckDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// archiveOldest writes a batch of the oldest rows after that one into a file and deletes them. It
// returns how many, and the last of them. A batch that was begun before comes first.
func (s *Service) archiveOldest(ctx context.Context, k Kind, after id.ID, before time.Time) (n int64, last id.ID,
	err error) {
	f, found, err := openFile(ctx, s.cfg.DB, k.Name)
	if err != nil {
		return 0, after, err
	}
	if !found {
		ids, err := k.Rows.Oldest(ctx, s.cfg.DB, after, before, batch)
		if err != nil || len(ids) == 0 {
			return 0, after, err
		}
		f = file{
			kind: k.Name, first: ids[0], last: ids[len(ids)-1], lines: int64(len(ids)), createdAt: s.cfg.Clock.Now(),
		}
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return begin(ctx, tx, f) })
		if err != nil {
			return 0, after, err
		}
	}
	f.lines, f.sha256, err = s.write(ctx, k, f)
	if errors.Is(err, errOther) {
		return 0, after, nil
	}
	if err != nil {
		return 0, after, fmt.Errorf("archive %s: %w", k.Name, err)
	}
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := finish(ctx, tx, f); err != nil {
			return err
		}
		n, err = k.Rows.Delete(ctx, tx, f.first, f.last)
		if err == nil && n != f.lines {
			err = fmt.Errorf("%w: %d of %d %s are left", errLines, n, f.lines, k.Name)
		}
		return err
	})
	if errors.Is(err, errOther) {
		return 0, after, nil
	}
	return n, f.last, err
}

// write writes the rows of a range into its file, and returns how many there were and the file's
// SHA-256. The file has its name only once all of it is on the disk.
func (s *Service) write(ctx context.Context, k Kind, f file) (lines int64, sum string, err error) {
	folder := filepath.Join(s.cfg.Dir, k.Name, f.first.MadeAt().Format("2006-01-02"))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return 0, "", err
	}
	out, err := os.CreateTemp(folder, ".writing-*")
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = os.Remove(out.Name()) }() // fails once it has its name
	hash := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(out, hash))
	encode := json.NewEncoder(w)
	encode.SetEscapeHTML(false)
	err = k.Rows.Archive(ctx, s.cfg.DB, f.first, f.last, func(row any) error {
		lines++
		return encode.Encode(row)
	})
	if err == nil && lines < f.lines { // another server may have deleted them, whose file must stay
		err = s.shrink(ctx, f, lines)
	}
	if err = errors.Join(err, w.Flush(), out.Sync(), out.Close()); err != nil {
		return 0, "", err
	}
	if lines == 0 {
		return 0, noFile, nil
	}
	if err := os.Rename(out.Name(), filepath.Join(folder, f.name())); err != nil {
		return 0, "", err
	}
	return lines, hex.EncodeToString(hash.Sum(nil)), errors.Join(syncDir(folder), syncDir(filepath.Dir(folder)),
		syncDir(s.cfg.Dir))
}

// shrink writes that a range which is still open has fewer rows than before, because they were
// deleted by something else, such as the deletion of their account.
func (s *Service) shrink(ctx context.Context, f file, lines int64) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return setLines(ctx, tx, f, lines) })
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
