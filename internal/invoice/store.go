package invoice

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// settingsRow is the one row of the settings.
type settingsRow struct {
	id        int64
	set       Settings
	changedAt time.Time
}

var settingsRows = db.NewTable("invoice_settings", func(r *settingsRow) []db.Column {
	return []db.Column{db.Col("id", &r.id), db.Col("settings", db.JSON(&r.set)), db.Col("changed_at", &r.changedAt)}
})

func findSettings(ctx context.Context, r db.Reader) (Settings, error) {
	found, _, err := settingsRows.Find(ctx, r, `WHERE id = 1`+db.ForUpdate(r))
	return found.set, err
}

// peekSettings never locks.
func peekSettings(ctx context.Context, r db.Reader) (Settings, error) {
	found, _, err := settingsRows.Find(ctx, r, `WHERE id = 1`)
	return found.set, err
}

func putSettings(ctx context.Context, tx *db.Tx, set Settings) error {
	return settingsRows.Put(ctx, tx, []string{"id"}, settingsRow{1, set, tx.Now})
}

var taxRates = db.NewTable("invoice_tax_rate", func(r *TaxRate) []db.Column {
	return []db.Column{
		db.Col("country", &r.Country), db.Col("from_day", &r.From), db.Col("basis_points", (*int64)(&r.Percent)),
		db.Col("ended", &r.Ended),
	}
})

func selectRates(ctx context.Context, r db.Reader) ([]TaxRate, error) {
	return taxRates.Select(ctx, r, `ORDER BY country, from_day`)
}

func replaceRates(ctx context.Context, tx *db.Tx, rates []TaxRate) error {
	if _, err := tx.Exec(ctx, `DELETE FROM invoice_tax_rate`); err != nil {
		return err
	}
	return taxRates.Insert(ctx, tx, rates...)
}

type buyerRow struct {
	account   id.ID
	buyer     Buyer
	changedAt time.Time
}

var buyers = db.NewTable("billing_details", func(r *buyerRow) []db.Column {
	return []db.Column{
		db.Col("account_id", &r.account), db.Col("details", db.JSON(&r.buyer)), db.Col("changed_at", &r.changedAt),
	}
})

// findBuyer returns what an account set. In a transaction that writes it locks the row, which it
// inserts for that if there is none.
func findBuyer(ctx context.Context, r db.Reader, account id.ID) (Buyer, error) {
	lock := db.ForUpdate(r)
	if tx, is := r.(*db.Tx); is && lock != "" {
		if _, err := tx.Exec(ctx, `INSERT INTO billing_details (account_id, details, changed_at) VALUES ($1, '{}', $2)
			ON CONFLICT (account_id) DO NOTHING`, account, tx.Now); err != nil {
			return Buyer{}, err
		}
	}
	found, _, err := buyers.Find(ctx, r, `WHERE account_id = $1`+lock, account)
	return found.buyer, err
}

func putBuyer(ctx context.Context, tx *db.Tx, account id.ID, b Buyer) error {
	return buyers.Put(ctx, tx, []string{"account_id"}, buyerRow{account, b, tx.Now})
}

// selectBuyers returns what the accounts set.
func selectBuyers(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Buyer, error) {
	all, err := buyers.Select(ctx, r, `WHERE account_id IN `+db.In(1, len(accounts)), db.Args(accounts)...)
	out := map[id.ID]Buyer{}
	for _, b := range all {
		out[b.account] = b.buyer
	}
	return out, err
}

// selectAskedOrInvoiced returns those of the accounts that were asked for missing details, or have
// an invoice.
func selectAskedOrInvoiced(ctx context.Context, r db.Reader, accounts []id.ID) ([]id.ID, error) {
	in := db.In(1, len(accounts))
	return db.Collect(ctx, r, db.Value[id.ID], `
		SELECT account_id FROM billing_details WHERE asked_at IS NOT NULL AND account_id IN `+in+`
		UNION SELECT account_id FROM invoice WHERE series = 'invoice' AND account_id IN `+in, db.Args(accounts)...)
}

// markAsked notes that the accounts are asked for missing details, and returns those that were not
// asked before.
func markAsked(ctx context.Context, tx *db.Tx, accounts []id.ID) ([]id.ID, error) {
	var args []any
	for _, a := range accounts {
		args = append(args, a, "{}", tx.Now, tx.Now)
	}
	return db.Collect(ctx, tx, db.Value[id.ID], `
		INSERT INTO billing_details (account_id, details, changed_at, asked_at)
		VALUES `+db.Tuples(1, len(accounts), 4)+`
		ON CONFLICT (account_id) DO UPDATE SET asked_at = excluded.asked_at WHERE billing_details.asked_at IS NULL
		RETURNING account_id`, args...)
}

func selectMonths(ctx context.Context, r db.Reader, from string) ([]string, error) {
	return db.Collect(ctx, r, db.Value[string],
		`SELECT month FROM invoice_month WHERE month >= $1 ORDER BY month`, from)
}

func insertMonth(ctx context.Context, tx *db.Tx, month string) error {
	_, err := tx.Exec(ctx, `INSERT INTO invoice_month (month, done_at) VALUES ($1, $2) ON CONFLICT (month) DO NOTHING`,
		month, tx.Now)
	return err
}

// nextNumber returns the next number of a series in a year. Its row is locked until the transaction
// ends, and a transaction that does not commit leaves no gap.
func nextNumber(ctx context.Context, tx *db.Tx, series Type, year int) (n int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO invoice_sequence (series, year, last) VALUES ($1, $2, 1)
		ON CONFLICT (series, year) DO UPDATE SET last = invoice_sequence.last + 1 RETURNING last`,
		string(series), year).Scan(&n)
	return n, err
}

// row is a document as it is stored. content is its canonical JSON.
type row struct {
	Summary
	year, sequence int64
	content        []byte
	packed         string
}

func (r *row) columns() []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("account_id", &r.Account), db.Col("series", &r.Type),
		db.Col("number", &r.Number), db.Col("year", &r.year), db.Col("sequence", &r.sequence),
		db.Col("month", &r.Month), db.Col("issued_at", &r.IssuedAt), db.Col("currency", &r.Currency),
		db.Col("total", &r.Total), db.Col("tax", &r.Tax), db.Col("due", &r.Due),
		db.Col("corrects", &r.Corrects), db.Col("content", &r.packed),
	}
}

var rows = db.NewTable("invoice", (*row).columns)

// summaries read a document without its content.
var summaries = db.NewTable("invoice", func(s *Summary) []db.Column {
	return []db.Column{
		db.Col("id", &s.ID), db.Col("account_id", &s.Account), db.Col("series", &s.Type), db.Col("number", &s.Number),
		db.Col("month", &s.Month), db.Col("issued_at", &s.IssuedAt), db.Col("currency", &s.Currency),
		db.Col("total", &s.Total), db.Col("tax", &s.Tax), db.Col("due", &s.Due), db.Col("corrects", &s.Corrects),
	}
})

func insertDocument(ctx context.Context, tx *db.Tx, r row) (err error) {
	if r.packed, err = pack(r.content); err != nil {
		return err
	}
	return rows.Insert(ctx, tx, r)
}

// document returns what was stored.
func (r row) document() (d Document, err error) {
	content, err := unpack(r.packed)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(content, &d); err != nil {
		return d, fmt.Errorf("read the document %s: %w", r.ID, err)
	}
	return d, nil
}

// find returns a document of the account.
func find(ctx context.Context, r db.Reader, account, of id.ID) (row, bool, error) {
	return rows.Find(ctx, r, `WHERE id = $1 AND account_id = $2`, of, account)
}

// findAny returns a document of any account. In a transaction that writes it locks the row.
func findAny(ctx context.Context, r db.Reader, of id.ID) (row, bool, error) {
	return rows.Find(ctx, r, `WHERE id = $1`+db.ForUpdate(r), of)
}

// findNumber returns the first number that matches the pattern and is wanted, or "". sequence is
// the document's count in its series and year.
func findNumber(
	ctx context.Context, tx *db.Tx, pattern string, wanted func(s Summary, sequence int64) bool,
) (string, error) {
	rows, err := tx.Query(ctx, `SELECT series, number, sequence FROM invoice WHERE number LIKE $1 ESCAPE '!'`, pattern)
	if err != nil {
		return "", err
	}
	for rows.Next() {
		var s Summary
		var sequence int64
		if err := rows.Scan(&s.Type, &s.Number, &sequence); err != nil {
			return "", errors.Join(err, rows.Close())
		}
		if wanted(s, sequence) {
			return s.Number, rows.Close()
		}
	}
	return "", errors.Join(rows.Err(), rows.Close())
}

// numberTaken reports whether a document has the number.
func numberTaken(ctx context.Context, r db.Reader, number string) (bool, error) {
	_, found, err := db.Find(ctx, r, db.Value[id.ID], `SELECT id FROM invoice WHERE number = $1`, number)
	return found, err
}

func findInvoice(ctx context.Context, r db.Reader, account id.ID, month string) (id.ID, error) {
	found, _, err := db.Find(ctx, r, db.Value[id.ID], `SELECT id FROM invoice
		WHERE account_id = $1 AND month = $2 AND series = 'invoice'`, account, month)
	return found, err
}

// selectNumbers returns the numbers of the account's invoices of the months from the first to the
// last.
func selectNumbers(ctx context.Context, r db.Reader, account id.ID, first, last string) (map[string]string, error) {
	all, err := summaries.Select(ctx, r, `WHERE account_id = $1 AND series = 'invoice' AND month >= $2
		AND month <= $3`, account, first, last)
	out := map[string]string{}
	for _, s := range all {
		out[s.Month] = s.Number
	}
	return out, err
}

// findBefore returns the account's newest invoice of an earlier month.
func findBefore(ctx context.Context, r db.Reader, account id.ID, month string) (row, bool, error) {
	return rows.Find(ctx, r, `WHERE account_id = $1 AND series = 'invoice' AND month < $2
		ORDER BY month DESC LIMIT 1`, account, month)
}

func list(
	ctx context.Context, r db.Reader, where []db.Cond, f Filter, p db.Page,
) ([]Summary, db.Listed, error) {
	var rest []db.Cond
	if f.Corrects != "" { // whose index finds the few notes of an invoice
		where, rest = []db.Cond{db.Is("corrects", f.Corrects)}, where
	}
	if f.Month != "" && f.Corrects == "" {
		where = append(where, db.Is("month", f.Month))
	} else if f.Month != "" {
		rest = append(rest, db.Is("month", f.Month))
	}
	if f.Type != "" {
		rest = append(rest, db.Is("series", f.Type))
	}
	l := summaries.List(where...)
	l.Rest = rest
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}

// rendering is a form of a document.
type rendering struct {
	of      id.ID
	format  Format
	content []byte
}

type renderingRow struct {
	of, format, content string
}

var renderings = db.NewTable("invoice_rendering", func(r *renderingRow) []db.Column {
	return []db.Column{db.Col("invoice_id", &r.of), db.Col("format", &r.format), db.Col("content", &r.content)}
})

// countRenderings returns how many forms of a document there are.
func countRenderings(ctx context.Context, r db.Reader, of id.ID) (int64, error) {
	n, _, err := db.Find(ctx, r, db.Value[int64], `SELECT COUNT(*) FROM invoice_rendering WHERE invoice_id = $1`, of)
	return n, err
}

// insertRenderings keeps the forms that are there, and returns how many it added.
func insertRenderings(ctx context.Context, tx *db.Tx, all []rendering) (int64, error) {
	packed := make([]renderingRow, len(all))
	for i, r := range all {
		content, err := pack(r.content)
		if err != nil {
			return 0, err
		}
		packed[i] = renderingRow{string(r.of), string(r.format), content}
	}
	return renderings.InsertNew(ctx, tx, "invoice_id, format", packed...)
}

func findRendering(ctx context.Context, r db.Reader, of id.ID, f Format) ([]byte, bool, error) {
	found, is, err := renderings.Find(ctx, r, `WHERE invoice_id = $1 AND format = $2`, of, string(f))
	if err != nil || !is {
		return nil, is, err
	}
	content, err := unpack(found.content)
	return content, true, err
}

type receiptRow struct {
	renderingRow
	account id.ID
}

var receipts = db.NewTable("receipt", func(r *receiptRow) []db.Column {
	return []db.Column{
		db.Col("subject", &r.of), db.Col("format", &r.format), db.Col("account_id", &r.account),
		db.Col("content", &r.content),
	}
})

// insertReceipt keeps all forms of a receipt, or those that are there: they are inserted by one
// statement, so they are of one receipt.
func insertReceipt(ctx context.Context, tx *db.Tx, account id.ID, all []rendering) error {
	packed := make([]receiptRow, len(all))
	for i, r := range all {
		content, err := pack(r.content)
		if err != nil {
			return err
		}
		packed[i] = receiptRow{renderingRow{string(r.of), string(r.format), content}, account}
	}
	_, err := receipts.InsertNew(ctx, tx, "subject, format", packed...)
	return err
}

func findReceipt(ctx context.Context, r db.Reader, of id.ID, f Format) ([]byte, bool, error) {
	found, is, err := receipts.Find(ctx, r, `WHERE subject = $1 AND format = $2`, of, string(f))
	if err != nil || !is {
		return nil, is, err
	}
	content, err := unpack(found.content)
	return content, true, err
}

// pack compresses content, and writes it as text, which both engines keep.
func pack(content []byte) (string, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func unpack(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read a stored document: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read a stored document: %w", err)
	}
	return io.ReadAll(r)
}

// sumCredited returns the total of an invoice's credit notes.
func sumCredited(ctx context.Context, r db.Reader, of id.ID) (money.Micros, error) {
	sum, _, err := db.Find(ctx, r, db.Value[money.Micros],
		`SELECT CAST(COALESCE(SUM(total), 0) AS BIGINT) FROM invoice WHERE corrects = $1`, of)
	return sum, err
}
