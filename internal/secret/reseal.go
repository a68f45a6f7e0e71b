package secret

import (
	"context"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
)

// batch is how many texts one transaction seals again.
const batch = 100

// Column is a column of the database whose texts are sealed, or empty.
type Column struct {
	Table, Column string
	// Key is a text column that identifies a row; "" for a table of one row.
	Key string
	// Owner is the column with the name that Purpose takes; "" if it is Key.
	Owner string
	// Purpose returns what the text of an owner is sealed for.
	Purpose func(owner string) string
}

// For returns a Purpose that does not depend on the row.
func For(purpose string) func(string) string { return func(string) string { return purpose } }

// name names the column to operators.
func (c Column) name() string { return c.Table + "." + c.Column }

// Count returns how many texts in the columns are sealed with each key.
func Count(ctx context.Context, r db.Reader, columns []Column) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, c := range columns {
		of, err := count(ctx, r, c)
		if err != nil {
			return nil, fmt.Errorf("count what is sealed in %s: %w", c.name(), err)
		}
		for prefix, n := range of {
			if parts := strings.Split(prefix, "."); len(parts) == 3 && parts[0] == version {
				counts[parts[1]] += n
			}
		}
	}
	return counts, nil
}

// Resealed is what Reseal has done.
type Resealed struct {
	// Values is how many texts it sealed again.
	Values int64
	// Problems name the texts that could not be opened, and why. At most 20 are named.
	Problems []string
	// Unopened is how many there are.
	Unopened int64
}

// Reseal seals every text in the columns that was sealed with the key of that name with the one
// that seals now, in batches. A text that changes meanwhile is left alone.
func (b *Box) Reseal(ctx context.Context, d *db.DB, from string, columns []Column) (done Resealed, err error) {
	for _, c := range columns {
		for after, more := "", true; more; {
			after, more, err = b.resealBatch(ctx, d, from, c, after, &done)
			if err != nil {
				return done, fmt.Errorf("seal %s again: %w", c.name(), err)
			}
		}
	}
	return done, nil
}

// resealBatch seals the texts of some rows after a key again. It returns the last one's key, and
// whether there may be more.
func (b *Box) resealBatch(
	ctx context.Context, d *db.DB, from string, c Column, after string, done *Resealed,
) (last string, more bool, err error) {
	var now Resealed
	err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, last, more = Resealed{}, after, false
		rows, err := sealedWith(ctx, tx, c, from, after)
		if err != nil {
			return err
		}
		for _, r := range rows {
			last, more = r.key, c.Key != "" && len(rows) == batch
			plain, err := b.Open(c.Purpose(r.owner), r.text)
			if err != nil {
				now.Unopened++
				now.Problems = append(now.Problems, fmt.Sprintf("%s %s: %v", c.name(), r.key, err))
				continue
			}
			n, err := replace(ctx, tx, c, r, b.Seal(c.Purpose(r.owner), plain))
			if err != nil {
				return err
			}
			now.Values += n
		}
		crashpoint.Reach(crashpoint.ResealBeforeCommit)
		return nil
	})
	if err != nil {
		return last, false, err
	}
	crashpoint.Reach(crashpoint.ResealAfterCommit)
	done.Values, done.Unopened = done.Values+now.Values, done.Unopened+now.Unopened
	done.Problems = append(done.Problems, now.Problems[:min(len(now.Problems), 20-len(done.Problems))]...)
	return last, more, nil
}
