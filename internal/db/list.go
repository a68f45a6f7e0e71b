package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Reach is how many rows of a list are counted, how far pages go by their number, and how many rows
// are read for a filter that has no index: what a list costs depends on it, not on how many rows
// there are.
const Reach = 10_000

// firstWindow is how many rows are read at first for a filter without an index: most filters let
// many rows through.
const firstWindow = 500

// Errors of what a client asked for.
var (
	// ErrCursor means that the cursor is none of this list's.
	ErrCursor = errors.New("db: the cursor is not one of this list's")
	// ErrReach means that pages do not go that far by their number: there are cursors for that.
	ErrReach = errors.New("db: the page is further than pages go by their number")
)

// Page says which part of a list is wanted.
type Page struct {
	// Number counts from 1.
	Number int
	// Limit is the most rows, 1 to 100.
	Limit int
	// After is where the page before ended; it takes the place of Number.
	After *Cursor
}

// Offset returns how many rows come before the page.
func (p Page) Offset() int { return (p.Number - 1) * p.Limit }

// Cursor is a place between two rows of a list.
type Cursor struct {
	// Keys are what the last row before the place is sorted by: texts and int64.
	Keys []any
	// Pages and Rows are how many came before.
	Pages, Rows int
	// Total and Exact are those of the first page: nothing is counted twice.
	Total int
	Exact bool
}

// Listed is what a list says of itself.
type Listed struct {
	// Total is how many rows there are on all pages; where it is not Exact there are at least so
	// many.
	Total int
	Exact bool
	// Next is where the next page begins; nil after the last.
	Next *Cursor
}

// All is what a list says of itself that is there as a whole.
func All(total int) Listed { return Listed{Total: total, Exact: true} }

// Next returns the place behind the page's rows, the last of which has those keys.
func (p Page) Next(keys []any, rows int, of Listed) *Cursor {
	c := Cursor{Keys: keys, Pages: p.Number, Rows: p.Offset() + rows, Total: of.Total, Exact: of.Exact}
	if p.After != nil {
		c.Pages, c.Rows = p.After.Pages+1, p.After.Rows+rows
	}
	return &c
}

// Key is one of the columns that a list is sorted by.
type Key struct {
	Column string
	Number bool // else it is a text
	// Reverse sorts by the column against the direction of the list.
	Reverse bool
}

// Keys of the usual orders.
var (
	byID           = []Key{{Column: "id"}}
	byName         = []Key{{Column: "name_key"}, {Column: "id"}}
	byNameReversed = []Key{{Column: "name_key"}, {Column: "id", Reverse: true}}
)

// Order is the order of a list of things that have a name. They are sorted by id where it is time
// that counts: ids rise with it.
type Order int

// The orders.
const (
	NewestFirst Order = iota
	OldestFirst
	ByName     // those with one name, oldest first
	ByNameDown // those with one name, newest first
	ByNameNewestFirst
	ByNameDownOldestFirst
)

// Sorting returns the order as a list needs it, for a table with the columns id and name_key.
func (o Order) Sorting() (keys []Key, down bool) {
	switch o {
	case OldestFirst:
		return byID, false
	case ByName:
		return byName, false
	case ByNameDown:
		return byName, true
	case ByNameNewestFirst:
		return byNameReversed, false
	case ByNameDownOldestFirst:
		return byNameReversed, true
	default:
		return byID, true
	}
}

// Cond is a condition; each ? in its text stands for the next argument.
type Cond struct {
	Text string
	Args []any
}

// Is is the condition that the column has the value.
func Is(column string, value any) Cond { return Cond{column + " = ?", []any{value}} }

// NameFilter selects things by their names. An empty field selects all.
type NameFilter struct {
	// Name is the whole name, in any case.
	Name string
	// Search is part of the name or of the id, in any case.
	Search string
}

// NameIs are the conditions that the name is that one, in any case, for a table with the column
// name_key; none for "".
func NameIs(name string) []Cond {
	if name == "" {
		return nil
	}
	return []Cond{Is(`name_key`, strings.ToLower(name))}
}

// NameOrIDHas are the conditions that the name or the id has the text, in any case, for a table
// with the column name_key; none for "". No index serves them.
func NameOrIDHas(text string) []Cond {
	if text == "" {
		return nil
	}
	like := Like(text)
	return []Cond{{Text: `(name_key LIKE ? ESCAPE '\' OR id LIKE ? ESCAPE '\')`, Args: []any{like, like}}}
}

// IsOneOf is the condition that the column has one of the values, of which there is at least one.
func IsOneOf[T any](column string, values []T) Cond {
	c := Cond{Text: column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")"}
	for _, v := range values {
		c.Args = append(c.Args, v)
	}
	return c
}

// List is a list of rows of a table. What it costs to read a page of it does not grow with the
// table, provided that there is an index which begins with what Where and Each compare for equality
// and goes on with Order.
type List[T any] struct {
	// Columns are what Scan reads.
	Columns string
	// Table is what has the rows, and ID its key; "id" if it is empty.
	Table, ID string
	// Source is what the rows are found in where that is another table, or a join with one;
	// SourceID is what it calls the ID.
	Source, SourceID string
	// Where are the conditions that the index serves.
	Where []Cond
	// Each, where it is given, is a condition that the index serves for each of its values.
	Each *Cond
	// Rest are the conditions that no index serves. Up to Reach rows are read for those that they
	// let through; a page may have fewer rows than its limit, or none, and yet a next one.
	Rest []Cond
	// Order is what the rows are sorted by: together it is different for all rows. Down is the
	// reverse of it.
	Order []Key
	Down  bool
	// Known is a query for how many rows there are, where something knows it without counting, and
	// for how many were deleted before them. Where the only key numbers all of them from 1 without
	// gaps, and the list goes down, Dense has pages found by that number.
	Known *Cond
	Dense bool
	Scan  func(Row) (T, error)
}

// Page returns a page of the list, and what the list says of itself.
func (l List[T]) Page(ctx context.Context, r Reader, p Page) ([]T, Listed, error) {
	of, after, offset, err := l.begin(ctx, r, p)
	if err != nil || offset < 0 {
		return []T{}, of, err
	}
	var rows []T
	var keys [][]any
	window := 0
	if len(l.Rest) > 0 {
		window = firstWindow
	}
	for {
		if rows, keys, err = l.read(ctx, r, after, p.Limit+1, offset, window); err != nil {
			return nil, Listed{}, fmt.Errorf("list %s: %w", l.Table, err)
		}
		if len(rows) > p.Limit || window == 0 || window == Reach {
			break
		}
		window = Reach
	}
	switch {
	case len(rows) > p.Limit:
		rows = rows[:p.Limit]
		of.Next = p.Next(keys[p.Limit-1], p.Limit, of)
	case window == Reach && !(p.After == nil && of.Exact):
		end, err := l.end(ctx, r, after)
		if err != nil {
			return nil, Listed{}, fmt.Errorf("list %s: %w", l.Table, err)
		}
		if end != nil {
			of.Next = p.Next(end, len(rows), of)
		}
	}
	if !of.Exact { // a client that counts pages continues while there are more
		seen := p.Offset() + len(rows)
		if p.After != nil {
			seen = p.After.Rows + len(rows)
		}
		if of.Next != nil {
			seen++
		}
		of.Total = max(of.Total, seen)
	}
	return rows, of, nil
}

// begin returns where the page begins: after those keys, and so many rows later; below 0 where
// there is no such page.
func (l List[T]) begin(ctx context.Context, r Reader, p Page) (of Listed, after []any, offset int, err error) {
	if p.After != nil {
		if !p.After.fits(l.Order) {
			return Listed{}, nil, 0, ErrCursor
		}
		return Listed{Total: p.After.Total, Exact: p.After.Exact}, p.After.Keys, 0, nil
	}
	of, deleted, err := l.count(ctx, r)
	if err != nil {
		return Listed{}, nil, 0, fmt.Errorf("count %s: %w", l.Table, err)
	}
	offset = p.Offset()
	switch {
	case of.Exact && offset >= of.Total:
		return of, nil, -1, nil
	case l.Dense && offset > 0:
		return of, []any{deleted + int64(of.Total-offset+1)}, 0, nil
	case !of.Exact && offset+p.Limit > Reach:
		return Listed{}, nil, 0, ErrReach
	}
	return of, nil, offset, nil
}

// fits reports whether the cursor has the values of such keys.
func (c *Cursor) fits(keys []Key) bool {
	if len(c.Keys) != len(keys) {
		return false
	}
	for i, k := range keys {
		_, isNumber := c.Keys[i].(int64)
		_, isText := c.Keys[i].(string)
		if isNumber != k.Number || isText == k.Number {
			return false
		}
	}
	return true
}

// query is a statement that is being written.
type query struct {
	text strings.Builder
	args []any
}

// add writes the text; each ? in it stands for the next of the arguments.
func (q *query) add(text string, args ...any) {
	for part := range strings.SplitAfterSeq(text, "?") {
		plain, asks := strings.CutSuffix(part, "?")
		q.text.WriteString(plain)
		if asks {
			q.args = append(q.args, args[0])
			args = args[1:]
			q.text.WriteString("$" + strconv.Itoa(len(q.args)))
		}
	}
}

// where writes the conditions, of which there may be none.
func (q *query) where(conditions ...Cond) {
	word := " WHERE "
	for _, c := range conditions {
		q.add(word+c.Text, c.Args...)
		word = " AND "
	}
}

func (l List[T]) source() string {
	if l.Source != "" {
		return l.Source
	}
	return l.Table
}

// count counts the rows, up to Reach of them, and returns how many were deleted before them.
func (l List[T]) count(ctx context.Context, r Reader) (of Listed, deleted int64, err error) {
	if l.Known != nil {
		var q query
		q.add(l.Known.Text, l.Known.Args...)
		err = r.QueryRow(ctx, q.text.String(), q.args...).Scan(&of.Total, &deleted)
		return Listed{Total: of.Total, Exact: true}, deleted, err
	}
	var q query
	q.add(`SELECT COUNT(*), CAST(COALESCE(SUM(fits_), 0) AS BIGINT) FROM (SELECT `)
	l.fits(&q)
	q.add(` AS fits_ FROM ` + l.source())
	conditions := l.Where
	if l.Each != nil {
		conditions = append(conditions[:len(conditions):len(conditions)], *l.Each)
	}
	q.where(conditions...)
	q.add(` LIMIT ` + strconv.Itoa(Reach+1) + `) AS counted_`)
	all := 0
	if err = r.QueryRow(ctx, q.text.String(), q.args...).Scan(&all, &of.Total); err != nil {
		return Listed{}, 0, err
	}
	of.Exact = all <= Reach
	if !of.Exact && len(l.Rest) == 0 {
		of.Total = Reach
	}
	return of, 0, nil
}

// fits writes 1 for a row that the conditions without an index let through, and 0 for another.
func (l List[T]) fits(q *query) {
	if len(l.Rest) == 0 {
		q.add(`1`)
		return
	}
	word := `CASE WHEN `
	for _, c := range l.Rest {
		q.add(word+c.Text, c.Args...)
		word = ` AND `
	}
	q.add(` THEN 1 ELSE 0 END`)
}

// order writes the order by columns that are called so.
func (l List[T]) order(q *query, columns []string) {
	word := ` ORDER BY `
	for i, column := range columns {
		q.add(word + column)
		if l.falls(i) {
			q.add(` DESC`)
		}
		word = `, `
	}
}

// falls reports whether the values of that key fall from row to row.
func (l List[T]) falls(key int) bool { return l.Down != l.Order[key].Reverse }

// after returns the condition that a row comes after the one with those keys.
func (l List[T]) after(keys []any) Cond {
	columns, _ := l.names()
	signs, mixed := make([]string, len(columns)), false
	for i := range columns {
		signs[i] = ` > `
		if l.falls(i) {
			signs[i] = ` < `
		}
		mixed = mixed || signs[i] != signs[0]
	}
	marks := "?" + strings.Repeat(", ?", len(keys)-1)
	switch {
	case len(keys) == 1:
		return Cond{columns[0] + signs[0] + marks, keys}
	case !mixed:
		return Cond{`(` + strings.Join(columns, ", ") + `)` + signs[0] + `(` + marks + `)`, keys}
	}
	// No row comparison has two directions. The first condition is what an index is searched by.
	c := Cond{columns[0] + strings.TrimSpace(signs[0]) + `= ?`, []any{keys[0]}}
	last := len(keys) - 1
	for i, column := range columns[:last] {
		c.Text += ` AND (` + column + signs[i] + `? OR ` + column + ` = ?`
		c.Args = append(c.Args, keys[i], keys[i])
	}
	c.Text += ` AND ` + columns[last] + signs[last] + `?` + strings.Repeat(`)`, last)
	c.Args = append(c.Args, keys[last])
	return c
}

// names are what the keys are called outside and inside of a window.
func (l List[T]) names() (columns, aliases []string) {
	for i, k := range l.Order {
		columns, aliases = append(columns, k.Column), append(aliases, "k"+strconv.Itoa(i+1)+"_")
	}
	return columns, aliases
}

// rows writes a query for some rows, in their order.
func (l List[T]) rows(q *query, what func(), each *Cond, after []any, limit int) {
	columns, _ := l.names()
	q.add(`SELECT `)
	what()
	q.add(` FROM ` + l.source())
	conditions := l.Where[:len(l.Where):len(l.Where)]
	if each != nil {
		conditions = append(conditions, *each)
	}
	if after != nil {
		conditions = append(conditions, l.after(after))
	}
	q.where(conditions...)
	l.order(q, columns)
	q.add(` LIMIT ?`, limit)
}

// window writes a query for the first rows with their id, their keys, and whether they fit.
func (l List[T]) window(q *query, after []any, limit int) {
	columns, aliases := l.names()
	what := func() {
		q.add(l.sourceID() + ` AS id_`)
		for i := range columns {
			q.add(`, ` + columns[i] + ` AS ` + aliases[i])
		}
		q.add(`, `)
		l.fits(q)
		q.add(` AS fits_`)
	}
	if l.Each == nil || len(l.Each.Args) == 1 {
		l.rows(q, what, l.Each, after, limit)
		return
	}
	column, _, _ := strings.Cut(l.Each.Text, " ")
	q.add(`SELECT * FROM (`)
	for i, v := range l.Each.Args {
		if i > 0 {
			q.add(` UNION ALL `)
		}
		q.add(`SELECT * FROM (`)
		one := Is(column, v)
		l.rows(q, what, &one, after, limit)
		q.add(`) AS one_`)
	}
	q.add(`) AS each_`)
	l.order(q, aliases)
	q.add(` LIMIT ?`, limit)
}

func (l List[T]) id() string {
	if l.ID != "" {
		return l.ID
	}
	return "id"
}

func (l List[T]) sourceID() string {
	if l.SourceID != "" {
		return l.SourceID
	}
	return l.id()
}

// read returns up to limit rows that come so many after the keys, with their keys. Where a window
// is given, it reads at most that many.
func (l List[T]) read(ctx context.Context, r Reader, after []any, limit, offset, window int) ([]T, [][]any, error) {
	var q query
	columns, aliases := l.names()
	if window == 0 && l.Source == "" && (l.Each == nil || len(l.Each.Args) == 1) {
		l.rows(&q, func() { q.add(l.Columns + `, ` + strings.Join(columns, ", ")) }, l.Each, after, limit)
		if offset > 0 {
			q.add(` OFFSET ?`, offset)
		}
	} else {
		if window == 0 {
			window = offset + limit
		}
		q.add(`SELECT ` + l.Columns + `, ` + strings.Join(aliases, ", ") + ` FROM (SELECT * FROM (`)
		l.window(&q, after, window)
		q.add(`) AS window_ WHERE fits_ = 1`)
		l.order(&q, aliases)
		q.add(` LIMIT ? OFFSET ?) AS page_ JOIN `+l.Table+` ON `+l.Table+`.`+l.id()+` = page_.id_`, limit, offset)
		l.order(&q, aliases)
	}
	rows, err := r.Query(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	out, keys := []T{}, [][]any{}
	for rows.Next() {
		k := make([]any, len(columns))
		one, err := l.Scan(keyed{rows, k})
		if err != nil {
			return nil, nil, err
		}
		out, keys = append(out, one), append(keys, k)
	}
	return out, keys, rows.Err()
}

// keyed is a row behind whose columns its keys stand.
type keyed struct {
	row  Row
	keys []any
}

// Scan reads the columns and the keys.
func (k keyed) Scan(dest ...any) error {
	for i := range k.keys {
		dest = append(dest, &k.keys[i])
	}
	return k.row.Scan(dest...)
}

// end returns the keys of the last row that was read, or nil if there are no more.
func (l List[T]) end(ctx context.Context, r Reader, after []any) ([]any, error) {
	var q query
	_, aliases := l.names()
	q.add(`SELECT ` + strings.Join(aliases, ", ") + ` FROM (`)
	l.window(&q, after, Reach)
	q.add(`) AS window_`)
	l.order(&q, aliases)
	q.add(` LIMIT 1 OFFSET ?`, Reach-1)
	rows, err := r.Query(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	keys := make([]any, len(aliases))
	if err := (keyed{rows, keys}).Scan(); err != nil {
		return nil, err
	}
	return keys, rows.Err()
}
