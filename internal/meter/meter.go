package meter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// KindSweep is the job that books the hours that are due. Its only subject is Fleet and its
	// handler is Sweep.
	KindSweep job.Kind = "meter-sweep"
	// Fleet is the subject of KindSweep: all meters.
	Fleet id.ID = "fleet"
	// KindPastDue is the job that is enqueued for an account when a charge leaves its available
	// money below zero.
	KindPastDue job.Kind = "past-due"
)

// Hour is the length of a billed hour.
const Hour = money.HourSeconds * time.Second

// Config configures a Service. Every field but Admit is required.
type Config struct {
	DB     *db.DB
	Wallet *wallet.Ledger
	Events *event.Service
	Jobs   *job.Queue
	// Admit decides which hours may begin; nil if all may. It is not asked about first hours, which
	// were admitted when their money was put on hold. Of a subject's hours all that follow a
	// refused one are refused. after is called when the others are charged, and may be nil.
	Admit func(ctx context.Context, tx *db.Tx, hours []Due) (
		refused []Refusal, after func(context.Context, *db.Tx) error, err error)
}

// Due is an hour that begins.
type Due struct {
	wallet.Charge
	// Minimum is true for an hour of the minimum runtime. It may not be refused.
	Minimum bool
}

// Refusal is an hour that may not begin.
type Refusal struct {
	Account, Subject id.ID
	Hour             int64
	// At is when the hour would begin. The subject is to be stopped then.
	At     time.Time
	Reason string
}

// Service charges hours. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// Start is a subject that begins to cost money.
type Start struct {
	// Subject is the ID of a deployment or a volume. It is metered once.
	Subject, Account id.ID
	// HourlyPrice is at least zero.
	HourlyPrice money.Micros
	// HourlyCost is the provider's price of an hour from At on, at least zero. No tenant sees it.
	HourlyCost money.Micros
	// At is when hour 0 begins, truncated to the second. It may be in the past.
	At time.Time
	// EndsAt is when the subject will be stopped; nil if that is not known. See PlanEnd.
	EndsAt *time.Time
	// MinimumHours is how many hours begin whatever they cost: those of the minimum runtime.
	MinimumHours int64
	// Description describes an hour on each transaction: "8 × NVIDIA B200".
	Description string
	// Labels are stored with each charge. Name is the tenant's name of the subject.
	Labels wallet.Labels
}

// Start charges hour 0, capturing the subject's hold, and schedules the following hours. A
// repetition, also after the stop, changes nothing.
func (m *Service) Start(ctx context.Context, tx *db.Tx, s Start) error {
	if s.Account == "" || eventPrefix[s.Subject.Kind()] == "" || s.HourlyPrice < 0 ||
		s.HourlyPrice > wallet.MaxAmount ||
		s.HourlyCost < 0 || s.HourlyCost > wallet.MaxAmount {
		return fmt.Errorf("meter: cannot charge %q %s an hour for %q", s.Account, s.HourlyPrice, s.Subject)
	}
	r := reading{
		subject: s.Subject, account: s.Account, description: s.Description, labels: s.Labels,
		hourlyPrice: s.HourlyPrice, startedAt: s.At.UTC().Truncate(time.Second), endsAt: s.EndsAt,
		minimumHours: s.MinimumHours,
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
	least := s.HourlyPrice.Times(max(1, s.MinimumHours))
	if err := m.cfg.Wallet.Bind(ctx, tx, s.Account, s.Subject, least); err != nil {
		return err
	}
	return m.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindSweep, Fleet, r.begin(r.hours))
}

// Reprice changes the price and the description of the hours that begin from now on. Hours that
// began before and are not booked yet are booked first, at the old price. A subject that is not
// metered, or has stopped, is left unchanged.
func (m *Service) Reprice(
	ctx context.Context, tx *db.Tx, subject id.ID, hourly money.Micros, labels wallet.Labels, description string,
) error {
	if hourly < 0 || hourly > wallet.MaxAmount {
		return fmt.Errorf("meter: a price of %s an hour is out of bounds", hourly)
	}
	r, found, err := lock(ctx, tx, subject)
	if err != nil || !found || r.stoppedAt != nil {
		return err
	}
	if err := m.bookUpTo(ctx, tx, &r, r.begunBefore(r.notAfterEnd(tx.Now))); err != nil {
		return err
	}
	return reprice(ctx, tx, subject, hourly, labels, description)
}

// PlanEnd sets when the subject will be stopped; nil if that is not known. No hour that begins then
// or later is booked, also if the stop comes late. A subject that is not metered, or has stopped,
// is left unchanged.
func (m *Service) PlanEnd(ctx context.Context, tx *db.Tx, subject id.ID, at *time.Time) error {
	r, found, err := lock(ctx, tx, subject)
	if err != nil || !found || r.stoppedAt != nil {
		return err
	}
	next := r.begin(r.hours)
	waited := r.endsAt != nil && !next.Before(*r.endsAt)
	r.endsAt = at
	if err := setEnd(ctx, tx, r); err != nil || !waited {
		return err
	}
	return m.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindSweep, Fleet, next)
}

// Costs returns what each subject has cost, charges less refunds. A subject without a meter is left
// out.
func (m *Service) Costs(ctx context.Context, r db.Reader, subjects []id.ID) (map[id.ID]money.Micros, error) {
	return selectCosts(ctx, r, subjects)
}

// Running is a subject that costs money now.
type Running struct {
	Subject id.ID
	// Name is the tenant's name of the subject.
	Name        string
	HourlyPrice money.Micros
	// CostToDate is the sum of its charges.
	CostToDate money.Micros
	// NextAt is when the next hour is charged, if it begins before EndsAt.
	NextAt time.Time
	// EndsAt is when the subject will be stopped; nil if that is not known.
	EndsAt *time.Time
}

// AllRunning returns what runs on each account now. It is for the server.
func (m *Service) AllRunning(ctx context.Context, r db.Reader) (map[id.ID][]Running, error) {
	return selectAllRunning(ctx, r)
}

// Rates returns what runs on the account now, in the order of IDs.
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
	stoppedAt        *time.Time
	endsAt           *time.Time // no hour that begins then or later is booked
	refusedAt        *time.Time // when an hour begins that Admit refused
	refusedFor       string
	minimumHours     int64 // Admit refuses none of the hours below
}

// notAfterEnd returns t, or when the meter's end is planned if that is earlier.
func (r *reading) notAfterEnd(t time.Time) time.Time {
	if r.endsAt != nil && r.endsAt.Before(t) {
		return *r.endsAt
	}
	return t
}

// begin returns when the n-th hour begins.
func (r *reading) begin(n int64) time.Time { return r.startedAt.Add(time.Duration(n) * Hour) }

// begunBefore returns how many hours begin before t.
func (r *reading) begunBefore(t time.Time) int64 {
	if !t.After(r.startedAt) {
		return 0
	}
	return int64((t.Sub(r.startedAt)-1)/Hour) + 1
}

// charge returns the charge of the n-th hour.
func (r *reading) charge(n int64) wallet.Charge {
	return wallet.Charge{
		Account: r.account, Subject: r.subject, Hour: n, Amount: r.hourlyPrice, HourlyPrice: r.hourlyPrice,
		From: r.begin(n), To: r.begin(n + 1), Labels: r.labels,
		Description: fmt.Sprintf("%s: hour %d of %s at %s/hr", r.labels.Name, n+1, r.description, r.hourlyPrice),
	}
}

func (r *reading) due(n int64) Due { return Due{r.charge(n), n < r.minimumHours} }

// bookUpTo charges the hours below n that are not booked yet, up to the first that is refused.
func (m *Service) bookUpTo(ctx context.Context, tx *db.Tx, r *reading, n int64) error {
	if n <= r.hours || r.refusedAt != nil {
		return nil
	}
	charges := make([]wallet.Charge, 0, n-r.hours)
	hours := make([]Due, 0, n-r.hours)
	for hour := r.hours; hour < n; hour++ {
		charges = append(charges, r.charge(hour))
		hours = append(hours, r.due(hour))
	}
	refused, after, err := m.admit(ctx, tx, hours)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		n = refused[0].Hour
	}
	charges = charges[:n-r.hours]
	if len(charges) > 0 {
		if err := raise(ctx, tx, *r, n); err != nil {
			return err
		}
		r.hours, r.cost = n, r.cost+r.hourlyPrice.Times(int64(len(charges)))
	}
	if len(refused) > 0 {
		r.refusedAt, r.refusedFor = &refused[0].At, refused[0].Reason
		if err := setRefused(ctx, tx, *r); err != nil {
			return err
		}
	}
	if err := m.charge(ctx, tx, charges); err != nil || after == nil {
		return err
	}
	return after(ctx, tx)
}

// admit returns which of the hours may not begin. First hours may.
func (m *Service) admit(ctx context.Context, tx *db.Tx, hours []Due) (
	refused []Refusal, after func(context.Context, *db.Tx) error, err error,
) {
	if m.cfg.Admit == nil {
		return nil, nil, nil
	}
	later := slices.DeleteFunc(slices.Clone(hours), func(d Due) bool { return d.Hour == 0 })
	if len(later) == 0 {
		return nil, nil, nil
	}
	return m.cfg.Admit(ctx, tx, later)
}

// BookUntil books the hours of the subject that begin before that instant, and returns the one that
// was refused, now or before; nil if none was.
func (m *Service) BookUntil(ctx context.Context, tx *db.Tx, subject id.ID, at time.Time) (*Refusal, error) {
	r, found, err := lock(ctx, tx, subject)
	if err != nil || !found || r.stoppedAt != nil {
		return nil, err
	}
	if err := m.bookUpTo(ctx, tx, &r, r.begunBefore(r.notAfterEnd(at))); err != nil || r.refusedAt == nil {
		return nil, err
	}
	return &Refusal{Account: r.account, Subject: subject, Hour: r.hours, At: *r.refusedAt, Reason: r.refusedFor}, nil
}

// charge charges hours that this transaction has booked, and appends their events. An hour that the
// wallet has charged before is not charged again.
func (m *Service) charge(ctx context.Context, tx *db.Tx, charges []wallet.Charge) error {
	made, err := m.cfg.Wallet.ChargeAll(ctx, tx, charges)
	if err != nil {
		return err
	}
	events := make([]event.Event, len(made))
	for i, c := range made {
		events[i] = billingEvent("charged", c.Charge, map[string]any{"transactionId": c.Transaction})
	}
	if err := m.cfg.Events.Append(ctx, tx, events...); err != nil {
		return err
	}
	warned := map[id.ID]bool{}
	for _, c := range made {
		if c.Wallet.Available < 0 && !warned[c.Account] {
			warned[c.Account] = true
			if err := m.cfg.Jobs.Enqueue(ctx, tx, c.Account, KindPastDue, c.Account, tx.Now); err != nil {
				return err
			}
		}
	}
	return nil
}

// eventPrefix begins the types of the events of each kind of subject.
var eventPrefix = map[id.Kind]string{id.Deployment: "deployment", id.Volume: "volume"}

// billingEvent returns the event that an hour was charged, or part of one refunded.
func billingEvent(action string, c wallet.Charge, data map[string]any) event.Event {
	data["amount"], data["hourlyPrice"], data["hour"] = c.Amount, c.HourlyPrice, c.Hour+1
	data["from"], data["to"], data["description"] = c.From, c.To, c.Description
	return event.Event{Account: c.Account, Subject: c.Subject, Type: eventPrefix[c.Subject.Kind()] + "." + action,
		Data: data}
}
