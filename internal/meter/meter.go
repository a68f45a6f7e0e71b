package meter

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// KindSweep is the job that books the hours that are due. Its one subject is Fleet and its handler Sweep.
	KindSweep job.Kind = "meter-sweep"
	// Fleet is the subject of KindSweep: all meters.
	Fleet id.ID = "fleet"
	// KindPastDue is the job that the meter enqueues for an account whose charge leaves less than nothing available.
	KindPastDue job.Kind = "past-due"
)

// Hour is how long a billed hour lasts.
const Hour = money.HourSeconds * time.Second

// Config is what a Meter needs. Every field is required.
type Config struct {
	DB     *db.DB
	Wallet *wallet.Ledger
	Events *event.Service
	Jobs   *job.Queue
}

// Service charges hours. It is safe for concurrent use.
type Service struct{ c Config }

// New returns a Meter. It panics when a dependency is missing.
func New(c Config) *Service {
	if c.DB == nil || c.Wallet == nil || c.Events == nil || c.Jobs == nil {
		panic("meter: New needs every field of its Config")
	}
	return &Service{c}
}

// Start is a subject that begins to cost money.
type Start struct {
	// Subject is the id of a deployment or a volume. It is metered once in its life.
	Subject, Account id.ID
	// HourlyPrice is at least zero.
	HourlyPrice money.Micros
	// HourlyCost is what the provider asks for an hour, at least zero. No tenant sees it. It costs that from At until CostEnds.
	HourlyCost money.Micros
	// At is when hour 0 begins, cut to the second. It may have passed.
	At time.Time
	// Description says what an hour is of, on each line of the bill: "8 × NVIDIA B200".
	Description string
	// Labels are stored with each charge. Name is what the tenant calls the subject.
	Labels wallet.Labels
}

// Start charges hour 0, capturing the subject's hold, and has the further hours charged as they begin. A
// repetition, also after the stop, changes nothing.
func (m *Service) Start(ctx context.Context, tx *db.Tx, s Start) error {
	if s.Account == "" || words[s.Subject.Kind()] == "" || s.HourlyPrice < 0 || s.HourlyPrice > wallet.MaxAmount || s.HourlyCost < 0 || s.HourlyCost > wallet.MaxAmount {
		return fmt.Errorf("meter: cannot charge %q %s an hour for %q", s.Account, s.HourlyPrice, s.Subject)
	}
	r := reading{
		subject: s.Subject, account: s.Account, description: s.Description, labels: s.Labels,
		hourlyPrice: s.HourlyPrice, startedAt: s.At.UTC().Truncate(time.Second),
	}
	if made, err := insert(ctx, tx, r); err != nil || !made {
		return err
	}
	if err := insertCost(ctx, tx, r, s.HourlyCost); err != nil {
		return err
	}
	if err := m.bookUpTo(ctx, tx, &r, 1); err != nil {
		return err
	}
	return m.c.Jobs.Enqueue(ctx, tx, job.Nobody, KindSweep, Fleet, r.begin(r.hours))
}

// Reprice changes the price of the hours that begin from now on, and what their lines say. Hours that began
// before and are not booked yet are booked first, as agreed before. A subject that is not metered, or has stopped, is left as it is.
func (m *Service) Reprice(ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, labels wallet.Labels, description string) error {
	if hourly < 0 || hourly > wallet.MaxAmount {
		return fmt.Errorf("meter: a price of %s an hour is out of bounds", hourly)
	}
	r, found, err := lock(ctx, tx, subject)
	if err != nil || !found || r.stopped {
		return err
	}
	if err := m.bookUpTo(ctx, tx, &r, r.begunBefore(tx.Now)); err != nil {
		return err
	}
	return reprice(ctx, tx, subject, hourly, labels, description)
}

// Costs returns what each subject has cost, charges less refunds; a subject without a meter is left out.
func (m *Service) Costs(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	return selectCosts(ctx, r, subjects)
}

// Running is a subject that costs money now.
type Running struct {
	Subject id.ID
	// Name is what the tenant calls it.
	Name        string
	HourlyPrice money.Micros
	// CostToDate is the sum of its charges.
	CostToDate money.Micros
}

// Rates returns what runs now on the account, in the order of ids.
func (m *Service) Rates(ctx context.Context, r db.Reader, account id.ID) ([]Running, error) {
	return selectRunning(ctx, r, account)
}

// reading is a row of the table meter.
type reading struct {
	subject, account id.ID
	description      string
	labels           wallet.Labels
	hourlyPrice      money.Micros
	startedAt        time.Time
	hours            int64 // booked: 0 to hours − 1
	cost             money.Micros
	stopped          bool
}

// begin is when the n-th hour begins.
func (r *reading) begin(n int64) time.Time { return r.startedAt.Add(time.Duration(n) * Hour) }

// begunBefore is how many hours begin before t; none when t is not after the start.
func (r *reading) begunBefore(t time.Time) int64 {
	if !t.After(r.startedAt) {
		return 0
	}
	return int64((t.Sub(r.startedAt)-1)/Hour) + 1
}

// charge is what the n-th hour is charged.
func (r *reading) charge(n int64) wallet.Charge {
	return wallet.Charge{
		Account: r.account, Subject: r.subject, Hour: n, Amount: r.hourlyPrice, HourlyPrice: r.hourlyPrice, From: r.begin(n), To: r.begin(n + 1),
		Description: fmt.Sprintf("%s: hour %d of %s at %s/h", r.labels.Name, n+1, r.description, r.hourlyPrice), Labels: r.labels,
	}
}

// bookUpTo charges the hours that are not booked yet up to n in all.
func (m *Service) bookUpTo(ctx context.Context, tx *db.Tx, r *reading, n int64) error {
	if n <= r.hours {
		return nil
	}
	if err := raise(ctx, tx, *r, n); err != nil {
		return err
	}
	charges := make([]wallet.Charge, 0, n-r.hours)
	for ; r.hours < n; r.hours++ {
		charges = append(charges, r.charge(r.hours))
		r.cost += r.hourlyPrice
	}
	return m.charge(ctx, tx, charges)
}

// charge pays hours that this transaction has raised the meters for, and tells of them. An hour that the
// wallet has been charged before stays charged once.
func (m *Service) charge(ctx context.Context, tx *db.Tx, charges []wallet.Charge) error {
	made, err := m.c.Wallet.ChargeAll(ctx, tx, charges)
	if err != nil {
		return err
	}
	events := make([]event.Event, len(made))
	for i, c := range made {
		events[i] = told("charged", c.Charge, map[string]any{"transactionId": c.Transaction})
	}
	if err := m.c.Events.Append(ctx, tx, events...); err != nil {
		return err
	}
	warned := map[id.ID]bool{}
	for _, c := range made {
		if c.Wallet.Available < 0 && !warned[c.Account] {
			warned[c.Account] = true
			if err := m.c.Jobs.Enqueue(ctx, tx, c.Account, KindPastDue, c.Account, tx.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

// words are what events call the kinds of things that are metered.
var words = map[id.Kind]string{id.Deployment: "deployment", id.Volume: "volume"}

// told is the event that an hour was charged, or a part of one refunded.
func told(what string, c wallet.Charge, data map[string]any) event.Event {
	data["amount"], data["hourlyPrice"], data["hour"] = c.Amount, c.HourlyPrice, c.Hour+1
	data["from"], data["to"], data["description"] = c.From, c.To, c.Description
	return event.Event{Account: c.Account, Subject: c.Subject, Type: words[c.Subject.Kind()] + "." + what, Data: data}
}
