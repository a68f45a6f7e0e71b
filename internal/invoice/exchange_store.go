package invoice

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
)

var exchangeRates = db.NewTable("invoice_exchange_rate", func(r *ExchangeRate) []db.Column {
	return []db.Column{
		db.Col("id", &r.ID), db.Col("currency", &r.Currency), db.Col("from_day", &r.From),
		db.Col("rate", &r.Rate), db.Col("dollars", &r.Dollars), db.Col("per_dollar", &r.PerDollar),
		db.Col("source", &r.Source), db.Col("changed_at", &r.ChangedAt),
	}
})

func putExchangeRates(ctx context.Context, tx *db.Tx, all []ExchangeRate) error {
	return exchangeRates.Put(ctx, tx, []string{"id"}, all...)
}

func countExchangeRates(ctx context.Context, r db.Reader) (int64, error) {
	n, _, err := db.Find(ctx, r, db.Value[int64], `SELECT COUNT(*) FROM invoice_exchange_rate`)
	return n, err
}

// findExchangeRate returns the newest rate of a currency that holds on a day.
func findExchangeRate(ctx context.Context, r db.Reader, currency, day string) (ExchangeRate, bool, error) {
	return exchangeRates.Find(ctx, r, `WHERE currency = $1 AND from_day <= $2 ORDER BY from_day DESC LIMIT 1`,
		currency, day)
}

// hasLaterRate reports whether a rate of a currency holds from a later day on.
func hasLaterRate(ctx context.Context, r db.Reader, currency, day string) (bool, error) {
	_, found, err := db.Find(ctx, r, db.Value[string],
		`SELECT id FROM invoice_exchange_rate WHERE currency = $1 AND from_day > $2 LIMIT 1`, currency, day)
	return found, err
}

func deleteExchangeRate(ctx context.Context, tx *db.Tx, of string) (ExchangeRate, bool, error) {
	r, found, err := exchangeRates.Find(ctx, tx, `WHERE id = $1`+db.ForUpdate(tx), of)
	if err != nil || !found {
		return r, false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM invoice_exchange_rate WHERE id = $1`, of)
	return r, true, err
}

func listExchangeRates(ctx context.Context, r db.Reader, p db.Page) ([]ExchangeRate, db.Listed, error) {
	l := exchangeRates.List()
	l.Order, l.Down = []db.Key{{Column: "id"}}, true
	return l.Page(ctx, r, p)
}
