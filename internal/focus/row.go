package focus

import (
	"cmp"
	"math/big"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// Export says whose costs are written, and for which interval.
type Export struct {
	Account     id.ID
	AccountName string
	// Seller is the name of the installation, which issues the invoices.
	Seller string
	// From and To select rows by the start of their charge period, and corrections by the time of
	// their refund. From is inclusive, To exclusive.
	From, To time.Time
}

// HoursFrom is the earliest start of an hour that may have a row in the interval: the second part
// of an hour that crosses the end of a month begins after the hour.
func (e Export) HoursFrom() time.Time { return e.From.Add(-wallet.HourLength) }

// The categories of rows.
const (
	usage      = "Usage"
	adjustment = "Adjustment"
)

// Row is a line of an export.
type Row struct {
	export   Export
	hour     wallet.Hour
	subject  wallet.Subject
	category string
	// correction marks a refund of a month that was over.
	correction bool
	// billed is a time in the row's billing period. from and to are the charge period.
	billed, from, to time.Time
	// quantity is in micro-hours. cost is in trillionths of a US dollar: the product of six
	// decimals and six.
	quantity money.Micros
	cost     *big.Int
}

// part is what of an hour is in one month.
type part struct {
	from, to         time.Time
	amount, refunded money.Micros
}

// parts divides an hour at the end of a month. A refund is of the hour's end.
func parts(h wallet.Hour) []part {
	from, to := h.From.UTC(), h.From.UTC().Add(wallet.HourLength)
	cut := monthAfter(from)
	if !cut.Before(to) {
		return []part{{from, to, h.Amount, h.Refunded}}
	}
	first := money.ForSeconds(h.Amount, int64(cut.Sub(from)/time.Second))
	last := h.Amount - first
	refunded := min(last, h.Refunded)
	return []part{{from, cut, first, h.Refunded - refunded}, {cut, to, last, refunded}}
}

// Rows are the rows of the hours, in their order. Refunds of months that were over are not in them.
func (e Export) Rows(hours []wallet.Hour, of map[id.ID]wallet.Subject) (rows []Row) {
	for _, h := range hours {
		for _, p := range parts(h) {
			if p.from.Before(e.From) || !p.from.Before(e.To) {
				continue
			}
			net := p.amount
			if !late(h, p) {
				net -= p.refunded
			}
			if net == 0 && h.HourlyPrice > 0 {
				continue // nothing was used
			}
			rows = append(rows, e.rows(h, of[h.Subject], p, net, p.from, false)...)
		}
	}
	return rows
}

// Corrections are the rows of refunds that were made in a later month than what they refund.
func (e Export) Corrections(hours []wallet.Hour, of map[id.ID]wallet.Subject) (rows []Row) {
	for _, h := range hours {
		for _, p := range parts(h) {
			if late(h, p) && p.refunded > 0 {
				rows = append(rows, e.rows(h, of[h.Subject], p, -p.refunded, *h.RefundedAt, true)...)
			}
		}
	}
	return rows
}

// late reports whether the refund was made after the month of the part was over.
func late(h wallet.Hour, p part) bool {
	return h.RefundedAt != nil && !h.RefundedAt.Before(monthAfter(p.from))
}

// rows are the row of an amount, and the one of its rounding if there is any.
func (e Export) rows(
	h wallet.Hour, s wallet.Subject, p part, amount money.Micros, billed time.Time, correction bool,
) []Row {
	quantity := microHours(amount, h.HourlyPrice)
	if h.HourlyPrice == 0 {
		quantity = money.Micros(int64(p.to.Sub(p.from)/time.Microsecond) / int64(wallet.HourLength/time.Second))
	}
	cost := product(quantity, h.HourlyPrice)
	row := Row{
		export: e, hour: h, subject: s, category: usage, correction: correction, billed: billed, from: p.from, to: p.to,
		quantity: quantity, cost: cost,
	}
	rest := new(big.Int).Sub(product(amount, money.USD), cost)
	if rest.Sign() == 0 {
		return []Row{row}
	}
	rounding := row
	rounding.category, rounding.quantity, rounding.cost = adjustment, 0, rest
	return []Row{row, rounding}
}

// microHours returns how many millionths of an hour cost the amount, rounded to the nearest.
func microHours(amount, hourly money.Micros) money.Micros {
	if hourly <= 0 {
		return 0
	}
	n, d := product(amount, money.USD), big.NewInt(int64(hourly))
	half := new(big.Int).Rsh(d, 1)
	if n.Sign() < 0 {
		half.Neg(half)
	}
	return money.Micros(n.Add(n, half).Quo(n, d).Int64())
}

func product(a, b money.Micros) *big.Int {
	return new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(b)))
}

// month returns the start of the month that t is in, in UTC.
func month(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

func monthAfter(t time.Time) time.Time { return month(t).AddDate(0, 1, 0) }

func (r *Row) volume() bool { return r.hour.Subject.Kind() == id.Volume }

// priced reports whether the row has a quantity at a price.
func (r *Row) priced() bool { return r.category == usage }

func (r *Row) description() string {
	h := &r.hour
	what := "Deployment " + h.Name + ": " + h.GPUType + " in " + h.Region
	if r.volume() {
		what = "Volume " + h.Name + " in " + h.Region
	}
	switch {
	case r.category == adjustment:
		return "Rounding. " + what
	case r.correction:
		return "Refund of unused time. " + what
	}
	return what
}

// sku is what is priced: the same for all accounts, and at all times.
func (r *Row) sku() string {
	if r.volume() {
		return "volume/" + r.hour.Provider + "/" + r.hour.Region
	}
	return "node/" + r.hour.Provider + "/" + r.hour.Region + "/" + r.hour.GPUType
}

// creatorID returns the creator's id if they are of the type.
func (r *Row) creatorID(of creator.Type) string {
	if r.subject.CreatedBy.Type != of {
		return ""
	}
	return string(r.subject.CreatedBy.ID)
}

func (r *Row) seller() string { return cmp.Or(r.export.Seller, "Billet") }
