package rest

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

const defaultLimit = 20

// Paging are the parameters of every list.
type Paging struct {
	Page    int    `query:"page" minimum:"1" maximum:"100000" doc:"Page number, from 1." default:"1"`
	Limit   *int   `query:"limit" minimum:"1" maximum:"100" doc:"Entries per page; 20 if omitted."`
	PerPage *int   `query:"per_page" minimum:"1" maximum:"100" doc:"Another name of limit."`
	Cursor  string `query:"cursor" maxLength:"2000" doc:"The nextCursor of the previous page, in place of page, with the same filters and sort. The page begins exactly after the previous one, even where entries were added or removed meanwhile, and costs the same however far it is."`
}

// Check finds parameters that contradict each other.
func (p Paging) Check() []apierr.FieldError {
	var invalid []apierr.FieldError
	if p.Limit != nil && p.PerPage != nil && *p.Limit != *p.PerPage {
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.per_page", Message: "contradicts limit; give one of them."},
		)
	}
	if p.Cursor != "" && p.Page > 1 {
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.cursor", Message: "contradicts page; give one of them."},
		)
	}
	return invalid
}

// Given reports whether the request asks for a page.
func (p Paging) Given() bool {
	return p.Page > 1 || p.Limit != nil || p.PerPage != nil || p.Cursor != ""
}

func (p Paging) cursor() string { return p.Cursor }

func (p Paging) of() db.Page {
	out := db.Page{Number: max(p.Page, 1), Limit: defaultLimit}
	if p.Limit != nil {
		out.Limit = *p.Limit
	} else if p.PerPage != nil {
		out.Limit = *p.PerPage
	}
	return out
}

type paged interface {
	of() db.Page
	cursor() string
}

// SortKey is a key that lists of things with a name are sorted by.
type SortKey string

// Enum lists the keys.
func (SortKey) Enum() []SortKey { return []SortKey{"createdAt", "-createdAt", "name", "-name"} }

// SortField is a SortKey without a direction.
type SortField string

// Enum lists the fields.
func (SortField) Enum() []SortField { return []SortField{"createdAt", "name"} }

// SortOrder is the direction of SortBy.
type SortOrder string

// Enum lists the directions.
func (SortOrder) Enum() []SortOrder { return []SortOrder{"asc", "desc"} }

// Sorting are the parameters of lists that can be sorted by time and name.
type Sorting struct {
	Sort      []SortKey `query:"sort" maxItems:"2" doc:"Sort keys, such as name,-createdAt: the first counts most. A leading hyphen sorts in descending order. -createdAt if omitted. createdAt is different for every entry, so a key after it changes nothing."`
	SortBy    SortField `query:"sortBy" doc:"Another way to sort, by one key, with sortOrder."`
	SortOrder SortOrder `query:"sortOrder" doc:"Order of sortBy; asc if omitted."`
}

// Check finds parameters that contradict each other.
func (q Sorting) Check() []apierr.FieldError { return CheckSort(q.Sort, q.SortBy, q.SortOrder) }

// Order is the order that was asked for.
func (q Sorting) Order() db.Order {
	keys := SortKeys(q.Sort, q.SortBy, q.SortOrder)
	if len(keys) == 0 {
		return db.NewestFirst
	}
	last := SortKey("")
	if len(keys) > 1 {
		last = keys[1]
	}
	switch first := keys[0]; {
	case first == "createdAt":
		return db.OldestFirst
	case first == "name" && last == "-createdAt":
		return db.ByNameNewestFirst
	case first == "name":
		return db.ByName
	case first == "-name" && last == "createdAt":
		return db.ByNameDownOldestFirst
	case first == "-name":
		return db.ByNameDown
	default:
		return db.NewestFirst
	}
}

// Named is the filter of lists of things with a name.
type Named struct {
	Name string `query:"name" maxLength:"64" doc:"The whole name, case-insensitive."`
}

// ListQuery are the parameters of lists of things with a name that have no further filters.
type ListQuery struct {
	Paging
	Sorting
	Named
	Search string `query:"search" maxLength:"64" doc:"Part of the name or of the id, case-insensitive."`
}

// NameFilter is the filter that was asked for.
func (q ListQuery) NameFilter() db.NameFilter { return db.NameFilter{Name: q.Name, Search: q.Search} }

// Check finds parameters that contradict each other.
func (q ListQuery) Check() []apierr.FieldError { return append(q.Paging.Check(), q.Sorting.Check()...) }

// CheckSort finds contradictions between sort keys, and between the two ways to sort.
func CheckSort[Key, Field ~string](sort []Key, by Field, order SortOrder) (invalid []apierr.FieldError) {
	seen := map[string]bool{}
	for _, k := range sort {
		name := strings.TrimPrefix(string(k), "-")
		if seen[name] {
			invalid = append(
				invalid,
				apierr.FieldError{Field: "query.sort", Message: "has " + name + " more than once; give each key once."},
			)
			break
		}
		seen[name] = true
	}
	if len(sort) > 0 && by != "" {
		invalid = append(
			invalid,
			apierr.FieldError{Field: "query.sortBy", Message: "contradicts sort; give one of them."},
		)
	}
	if order != "" && by == "" {
		invalid = append(invalid, apierr.FieldError{
			Field: "query.sortOrder", Message: "needs sortBy; or use sort with a leading hyphen for descending order.",
		})
	}
	return invalid
}

// SortKeys are the sort keys that were asked for in either way; nil for none.
func SortKeys[Key, Field ~string](sort []Key, by Field, order SortOrder) []Key {
	switch {
	case by == "":
		return sort
	case order == "desc":
		return []Key{Key("-" + by)}
	default:
		return []Key{Key(by)}
	}
}

// Pagination describes one page of a list.
type Pagination struct {
	Page         int     `json:"page" doc:"Number of this page, from 1."`
	Limit        int     `json:"limit" doc:"Entries per page."`
	Total        int     `json:"total" doc:"Entries on all pages, counted up to 10,000; see totalIsExact. With a cursor it is the count of the first page."`
	TotalPages   int     `json:"totalPages" doc:"Number of pages if totalIsExact is true; a lower bound otherwise."`
	TotalIsExact bool    `json:"totalIsExact" doc:"False if there may be more entries than total."`
	NextCursor   *string `json:"nextCursor" doc:"Cursor of the next page; null on the last page. A page may have fewer entries than limit, or none, and still have a next one: a filter without an index scans 10,000 entries at a time."`
}

type listEnvelope struct {
	Success    bool                `json:"success"`
	Data       any                 `json:"data"`
	Pagination Pagination          `json:"pagination"`
	Warnings   []apierr.FieldError `json:"warnings,omitempty"`
}

// PageOf makes the response of a list: the page that was asked for, by its number or by a cursor.
func PageOf[Item any](c *Call, in paged, read func(p db.Page) ([]Item, db.Listed, error)) (Answer, error) {
	p := in.of()
	of := c.listID()
	if text := in.cursor(); text != "" {
		if p.After = ReadCursor(text, of); p.After == nil {
			return Answer{}, errCursor
		}
		p.Number = p.After.Pages + 1
	}
	items, l, err := read(p)
	switch {
	case errors.Is(err, db.ErrCursor):
		return Answer{}, errCursor
	case errors.Is(err, db.ErrReach):
		return Answer{}, apierr.Invalid([]apierr.FieldError{{Field: "query.page", Message: fmt.Sprintf(
			"is too far: page numbers reach the first %d entries. Use the nextCursor of a page as cursor to go on.",
			db.Reach,
		)}})
	case err != nil:
		return Answer{}, err
	}
	if items == nil {
		items = []Item{}
	}
	out := Pagination{
		Page: p.Number, Limit: p.Limit, Total: l.Total, TotalPages: (l.Total + p.Limit - 1) / p.Limit,
		TotalIsExact: l.Exact,
	}
	if l.Next != nil {
		text := WriteCursor(l.Next, of)
		out.NextCursor = &text
	}
	return c.success(listEnvelope{true, items, out, c.warnings}), nil
}

var errCursor = apierr.Invalid([]apierr.FieldError{{
	Field: "query.cursor",
	Message: "is not a cursor of this list with these filters and this sort. " +
		"Use nextCursor unchanged, or omit it for the first page.",
}})

// listID identifies a list by its path, filters and sort.
func (c *Call) listID() string {
	q := c.Request.URL.Query()
	for _, name := range []string{"page", "limit", "per_page", "cursor"} {
		delete(q, name)
	}
	for name, values := range q {
		if slices.Equal(values, []string{""}) { // as if it were left out
			delete(q, name)
		}
	}
	sum := sha256.Sum256([]byte(c.Request.URL.Path + "?" + q.Encode()))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// WriteCursor encodes a position as an opaque text. It decides only where a page of the caller's
// own list begins, so it is not encrypted.
func WriteCursor(at *db.Cursor, list string) string {
	text, err := json.Marshal(append([]any{list, at.Pages, at.Rows, at.Total, at.Exact}, at.Keys...))
	if err != nil {
		panic(err) // texts and numbers only
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// ReadCursor decodes what WriteCursor encoded; nil where the text is no cursor of that list.
func ReadCursor(text, list string) *db.Cursor {
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
	if !isPages || !isRows || !isTotal || !isExact || pages < 1 || rows < 0 || total < 0 ||
		max(pages, rows, total) > most {
		return nil
	}
	return &db.Cursor{Pages: int(pages), Rows: int(rows), Total: int(total), Exact: exact, Keys: parts[5:]}
}

// Slice returns one page of a list that is in memory as a whole. key identifies an entry.
func Slice[T any](all []T, key func(T) string, p db.Page) ([]T, db.Listed, error) {
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
