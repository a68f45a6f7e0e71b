package deployment

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// maxDowntimes is how many downtimes of a deployment are recorded. A machine that goes up and down
// more often is not measured any more.
const maxDowntimes = 200

// DowntimeCause is what was measured.
type DowntimeCause string

// The causes.
const (
	// DownLost is a machine that its provider lost: its deployment is interrupted.
	DownLost DowntimeCause = "lost"
	// DownUnhealthy is a machine that its provider reports as broken.
	DownUnhealthy DowntimeCause = "unhealthy"
	// DownOff is a machine that is off although its tenant did not have it switched off here. The
	// tenant may have shut it down from inside.
	DownOff DowntimeCause = "off"
)

// Downtime is a time for which a machine did not work, as its provider's lists of machines say. A
// list that could not be read says nothing. All instants are whole seconds.
type Downtime struct {
	Cause DowntimeCause
	// From is when the machine was last seen to work, SeenAt when it was first seen not to.
	From, SeenAt time.Time
	// To is when it worked again, or when its bill ended.
	To time.Time
}

// downtime is a row of the table.
type downtime struct {
	Downtime
	deployment id.ID
	provider   string
	to         *time.Time // nil while it lasts
	settled    bool
}

// condition returns why the machine does not work; "" if it does. known is false where the list
// does not tell: a machine may be on its way to another state because its tenant wants it to be.
func (w watched) condition(m provider.Machine, exists bool) (cause DowntimeCause, known bool) {
	switch {
	case !exists:
		return DownLost, true
	case m.State == provider.MachineLost, m.State == provider.MachineFailed, m.State == provider.MachineGone:
		return DownLost, true
	case m.State == provider.MachineOff && !w.offRequested:
		return DownOff, true
	case m.State == provider.MachineReady && m.Unhealthy:
		return DownUnhealthy, true
	case m.State == provider.MachineReady, m.State == provider.MachineOff:
		return "", true
	default:
		return "", false
	}
}

// measured is what a list of machines changes of the downtimes.
type measured struct {
	begin  []downtime
	end    []id.ID // those of these deployments end
	forget []id.ID // those of these never were: their machines were only missing on lists
}

// measure decides what a list that was asked for at an instant changes. open are the downtimes that
// last, and before is when the list before this one was asked for; nil if there was none. It
// depends on nothing but its arguments.
func measure(
	rows []watched, own map[id.ID]provider.Machine, open map[id.ID]downtime, before *time.Time, asked time.Time,
) (out measured) {
	for _, w := range rows {
		if !w.status.Alive() || w.startedAt == nil {
			continue
		}
		m, exists := own[w.id]
		cause, known := w.condition(m, exists)
		lasts, has := open[w.id]
		switch {
		case !known, has && lasts.Cause == cause:
			continue
		case has && lasts.Cause == DownLost:
			out.forget = append(out.forget, w.id)
		case has:
			out.end = append(out.end, w.id)
		}
		if from := lastSeen(*w.startedAt, before, asked); cause != "" && from.Before(asked) {
			out.begin = append(out.begin, downtime{
				Downtime: Downtime{Cause: cause, From: from, SeenAt: seconds(asked)}, deployment: w.id,
			})
		}
	}
	return out
}

// lastSeen returns when a machine that was started then was last seen to work, if the list that was
// asked for now is the first that shows otherwise.
func lastSeen(startedAt time.Time, before *time.Time, now time.Time) time.Time {
	if before == nil { // nothing is known of the time before
		return seconds(now)
	}
	if before.Before(startedAt) {
		return seconds(startedAt)
	}
	return seconds(*before)
}

// recordDowntimes writes what a provider's list of machines shows of the downtimes, and when it was
// asked for.
func (s *Service) recordDowntimes(
	ctx context.Context, slug string, rows []watched, own map[id.ID]provider.Machine, asked time.Time,
) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, err := listedAt(ctx, tx, slug)
		if err != nil {
			return err
		}
		open, err := openDowntimes(ctx, tx, slug)
		if err != nil {
			return err
		}
		found := measure(rows, own, open, before, asked)
		// A deployment that has ended since the rows were read begins no downtime.
		alive, err := lockAlive(ctx, tx, found.begin)
		if err != nil {
			return err
		}
		if err := forgetDowntimes(ctx, tx, found.forget); err != nil {
			return err
		}
		if err := s.finish(ctx, tx, found.end, rows, seconds(asked)); err != nil {
			return err
		}
		var begin []downtime
		for _, d := range found.begin {
			if n, is := alive[d.deployment]; is && n < maxDowntimes {
				d.provider = slug
				begin = append(begin, d)
			}
		}
		if err := insertDowntimes(ctx, tx, begin); err != nil {
			return err
		}
		return putListed(ctx, tx, slug, asked)
	})
}

// finish ends the downtimes of deployments that go on.
func (s *Service) finish(ctx context.Context, tx *db.Tx, ended []id.ID, rows []watched, at time.Time) error {
	if len(ended) == 0 {
		return nil
	}
	account := map[id.ID]id.ID{}
	for _, w := range rows {
		account[w.id] = w.account
	}
	if err := endOpen(ctx, tx, at, ended...); err != nil {
		return err
	}
	for _, d := range ended {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, account[d], KindDowntime, d, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

// endDowntime ends the downtime of a deployment whose bill ends, if there is one.
func (s *Service) endDowntime(ctx context.Context, tx *db.Tx, r *row, at time.Time) error {
	_, open, err := openDowntime(ctx, tx, r.id)
	if err != nil || !open {
		return err
	}
	if err := endOpen(ctx, tx, at, r.id); err != nil {
		return err
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindDowntime, r.id, tx.Now)
}

// recordLoss records the downtime of a machine that was lost: from when it was last seen until its
// bill ended.
func (s *Service) recordLoss(ctx context.Context, tx *db.Tx, r *row, at time.Time) error {
	last, open, err := openDowntime(ctx, tx, r.id)
	if err != nil {
		return err
	}
	if open && last.Cause == DownLost {
		return s.endDowntime(ctx, tx, r, at)
	}
	before, err := listedAt(ctx, tx, r.provider)
	if err != nil {
		return err
	}
	lost := downtime{
		Downtime:   Downtime{Cause: DownLost, From: lastSeen(*r.startedAt, before, tx.Now), SeenAt: seconds(tx.Now)},
		deployment: r.id, provider: r.provider, to: &at,
	}
	if open {
		if err := endOpen(ctx, tx, earlier(lost.From, at), r.id); err != nil {
			return err
		}
	}
	if lost.From.Before(at) {
		if err := insertDowntimes(ctx, tx, []downtime{lost}); err != nil {
			return err
		}
	}
	return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindDowntime, r.id, tx.Now)
}

// Billed is what a deployment is billed for.
type Billed struct {
	ID, Account id.ID
	Name        string
	GPUCount    int
	// StartedAt is when the first hour began; nil before.
	StartedAt *time.Time
	// BilledUntil is when the bill ended; nil before.
	BilledUntil *time.Time
	// EndsAt is when the bill will end, or when it will have ended: an auto-termination that is due
	// may be carried out later. It is nil if none is planned, and once the bill has ended.
	EndsAt *time.Time
}

// FindBilled returns what a deployment of any account is billed for. In a transaction that writes,
// its row is locked. It is for the operator.
func FindBilled(ctx context.Context, r db.Reader, deployment id.ID) (Billed, bool, error) {
	x, found, err := findAny(ctx, r, deployment)
	b := Billed{
		ID: x.id, Account: x.account, Name: x.name, GPUCount: x.gpuCount, StartedAt: x.startedAt,
		BilledUntil: x.billedUntil,
	}
	if end := x.endsAt(); found && b.BilledUntil == nil && end != nil {
		b.EndsAt = new(seconds(*end))
	}
	return b, found, err
}

// EndedDowntimes returns the deployment's downtimes that have ended, in order, without those that
// SettleDowntimes was called for.
func EndedDowntimes(ctx context.Context, r db.Reader, deployment id.ID) ([]Downtime, error) {
	rows, err := endedDowntimes(ctx, r, deployment)
	out := make([]Downtime, len(rows))
	for i, d := range rows {
		out[i] = d.Downtime
		out[i].To = *d.to
	}
	return out, err
}

// SettleDowntimes records that it was decided whether something is owed for these downtimes, which
// EndedDowntimes returned. Others may have ended since.
func SettleDowntimes(ctx context.Context, tx *db.Tx, deployment id.ID, decided []Downtime) error {
	from := make([]time.Time, len(decided))
	for i, d := range decided {
		from[i] = d.From
	}
	return settleDowntimes(ctx, tx, deployment, from)
}
