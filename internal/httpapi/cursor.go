package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// listed makes the answer of a list: the page that was asked for, by its number or by a cursor.
func listed[Item any](c *call, in paged, read func(p db.Page) ([]Item, db.Listed, error)) (answer, error) {
	p := in.of()
	of := c.listID()
	if text := in.cursor(); text != "" {
		if p.After = readCursor(text, of); p.After == nil {
			return answer{}, errCursor
		}
		p.Number = p.After.Pages + 1
	}
	items, l, err := read(p)
	switch {
	case errors.Is(err, db.ErrCursor):
		return answer{}, errCursor
	case errors.Is(err, db.ErrReach):
		return answer{}, apierr.Invalid([]apierr.FieldError{{Field: "query.page", Message: fmt.Sprintf(
			"is too far: pages go by their number up to entry %d of so long a list. Go on with the nextCursor of a page as cursor.", db.Reach,
		)}})
	case err != nil:
		return answer{}, err
	}
	if items == nil {
		items = []Item{}
	}
	out := pagination{
		Page: p.Number, Limit: p.Limit, Total: l.Total, TotalPages: (l.Total + p.Limit - 1) / p.Limit, TotalIsExact: l.Exact,
	}
	if l.Next != nil {
		text := writeCursor(l.Next, of)
		out.NextCursor = &text
	}
	return c.success(listEnvelope{true, items, out}), nil
}

var errCursor = apierr.Invalid([]apierr.FieldError{{
	Field: "query.cursor", Message: "is no cursor of this list with these filters and this sort; give nextCursor as it was, or leave it out for the first page.",
}})

// listID tells lists apart: by their path, and by what they are filtered and sorted by.
func (c *call) listID() string {
	q := c.request.URL.Query()
	for _, name := range []string{"page", "limit", "per_page", "cursor"} {
		delete(q, name)
	}
	for name, values := range q {
		if slices.Equal(values, []string{""}) { // as if it were left out
			delete(q, name)
		}
	}
	sum := sha256.Sum256([]byte(c.request.URL.Path + "?" + q.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// writeCursor makes a text of the place that nobody has to understand. What it says decides nothing but where a page of the
// caller's own list begins, so it is not sealed.
func writeCursor(at *db.Cursor, list string) string {
	text, err := json.Marshal(append([]any{list, at.Pages, at.Rows, at.Total, at.Exact}, at.Keys...))
	if err != nil {
		panic(err) // texts and numbers only
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// readCursor returns what writeCursor made a text of; nil where it is none of that list's.
func readCursor(text, list string) *db.Cursor {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var parts []any
	if d.Decode(&parts) != nil || len(parts) < 6 || parts[0] != list {
		return nil
	}
	for i, p := range parts {
		switch p := p.(type) {
		case json.Number:
			n, err := p.Int64()
			if err != nil {
				return nil
			}
			parts[i] = n
		case string:
			if strings.ContainsRune(p, 0) { // PostgreSQL takes no such text
				return nil
			}
		case bool:
			if i != 4 {
				return nil
			}
		default:
			return nil
		}
	}
	pages, isPages := parts[1].(int64)
	rows, isRows := parts[2].(int64)
	total, isTotal := parts[3].(int64)
	exact, isExact := parts[4].(bool)
	const most = 1 << 40
	if !isPages || !isRows || !isTotal || !isExact || pages < 1 || rows < 0 || total < 0 || max(pages, rows, total) > most {
		return nil
	}
	return &db.Cursor{Pages: int(pages), Rows: int(rows), Total: int(total), Exact: exact, Keys: parts[5:]}
}

// part is one page of a list that is in memory as a whole; key tells its entries apart.
func part[T any](all []T, key func(T) string, p db.Page) ([]T, db.Listed, error) {
	of, from := db.All(len(all)), min(p.Offset(), len(all))
	if p.After != nil {
		last, _ := p.After.Keys[0].(string)
		from = min(p.After.Rows, len(all))
		if at := slices.IndexFunc(all, func(one T) bool { return key(one) == last }); at >= 0 {
			from = at + 1
		}
	}
	to := min(from+p.Limit, len(all))
	if from < to && to < len(all) {
		of.Next = p.Next([]any{key(all[to-1])}, to-from, of)
	}
	return all[from:to], of, nil
}
