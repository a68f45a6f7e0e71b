package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// askLimit is how long a provider may take for one run, in real time.
	askLimit = time.Minute
	// maxPause is the longest pause between two requests to end the same thing, unless the provider
	// asks for a longer one.
	maxPause = 10 * time.Minute
)

// RemoverConfig is what a Remover needs. Every field is required.
type RemoverConfig struct {
	DB        *db.DB
	Clock     clock.Clock
	Issues    *Service
	Providers *provider.Registry
}

// Remover asks providers to end orphans.
type Remover struct{ cfg RemoverConfig }

// NewRemover returns a Remover.
func NewRemover(cfg RemoverConfig) *Remover { return &Remover{cfg} }

// End handles KindEnd: it ends what an operator or the policy wants to be ended, and asks again
// until the provider confirms that it is gone. It can be stopped at any point and repeated.
func (r *Remover) End(ctx context.Context, issue id.ID) (job.Outcome, error) {
	i, found, err := find(ctx, r.cfg.DB, issue)
	if err != nil || !found || i.State != StateOpen || !i.Endable || i.Reference == nil {
		return job.Done(), err
	}
	p, configured := r.cfg.Providers.Get(i.Provider)
	if !configured {
		return job.Outcome{}, fmt.Errorf("provider %s is not configured, but issue %s is open", i.Provider, i.ID)
	}
	if i.EndingSince == nil {
		begun, err := r.beginByPolicy(ctx, i)
		if err != nil || !begun {
			return job.Done(), err
		}
		now := r.cfg.Clock.Now()
		i.EndingSince = &now
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	gone, err := end(ask, p, i)
	now := r.cfg.Clock.Now()
	d := decide(p.Info(), now.Sub(*i.EndingSince), gone, err)
	if d.err != nil {
		return job.Outcome{}, d.err
	}
	err = r.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var confirmed *time.Time
		if gone {
			confirmed = &tx.Now
		}
		return setAnswer(ctx, tx, i.ID, d.problem, confirmed)
	})
	if err != nil || gone {
		return job.Done(), err // the watch closes the issue, or has it ended again if it is still listed
	}
	return job.At(now.Add(d.pause)), nil
}

// decision is what follows from an answer of the provider.
type decision struct {
	problem string        // to show to the operator
	pause   time.Duration // before the provider is asked again
	err     error         // retried with the job's own backoff, and not shown
}

// decide returns what follows from the provider's answer to a request that has been repeated for
// that long.
func decide(info provider.Info, repeatedFor time.Duration, gone bool, err error) decision {
	e, answered := errors.AsType[*provider.Error](err)
	pause := max(info.PollEvery, time.Second, min(repeatedFor/10, maxPause))
	switch {
	case err == nil || gone:
		return decision{pause: pause}
	case !provider.Decided(err) && (!answered || e.RetryAfter == 0):
		return decision{err: err}
	case !answered:
		return decision{problem: "The provider refused.", pause: max(pause, time.Minute)}
	}
	d := decision{problem: "The provider refused.", pause: max(pause, e.RetryAfter, time.Minute)}
	if e.Message != "" {
		d.problem = Plain(e.Message)
	}
	return d
}

// beginByPolicy commits to ending an orphaned machine whose grace period has passed.
func (r *Remover) beginByPolicy(ctx context.Context, i Issue) (begun bool, err error) {
	err = r.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if !r.cfg.Issues.endsOrphans() { // it pauses, or the server was restarted with another policy
			return unschedule(ctx, tx, i.ID)
		}
		begun, err = beginByPolicy(ctx, tx, i.Provider, i.ID)
		return err
	})
	return begun, err
}

// end requests the end, and returns true once the provider confirms that the subject is gone.
func end(ctx context.Context, p provider.Provider, i Issue) (gone bool, err error) {
	if err := job.Holds(ctx); err != nil {
		return false, err
	}
	reference := id.ID(*i.Reference)
	if i.Kind == OrphanedVolume {
		return endVolume(ctx, p, i, reference)
	}
	call, done := provider.Begin(ctx, p, provider.CallTerminate)
	err = p.Terminate(call, reference)
	done(err)
	if err != nil && !isNotFound(err) {
		return false, err
	}
	call, done = provider.Begin(ctx, p, provider.CallMachine)
	m, err := p.Machine(call, reference)
	done(err)
	switch {
	case err == nil:
		return m.State == provider.MachineGone, nil
	case isNotFound(err):
		return true, nil
	default:
		return false, err
	}
}

func endVolume(ctx context.Context, p provider.Provider, i Issue, reference id.ID) (gone bool, err error) {
	v, has := p.(provider.VolumeProvider)
	if !has {
		return false, fmt.Errorf("provider %s has no volumes", i.Provider)
	}
	err = changeVolume(ctx, p, v.DeleteVolume, reference)
	if err != nil && provider.KindOf(err) == provider.KindRejected { // a machine has it
		if err := changeVolume(ctx, p, v.DetachVolume, reference); err != nil && !isNotFound(err) {
			return false, err
		}
		err = changeVolume(ctx, p, v.DeleteVolume, reference)
	}
	if err != nil && !isNotFound(err) {
		return false, err
	}
	call, done := provider.Begin(ctx, p, provider.CallVolume)
	_, err = v.Volume(call, reference)
	done(err)
	if err != nil && isNotFound(err) {
		return true, nil
	}
	return false, err
}

// changeVolume calls f of the provider.
func changeVolume(
	ctx context.Context, p provider.Provider, f func(context.Context, id.ID) error, reference id.ID,
) error {
	call, done := provider.Begin(ctx, p, provider.CallChangeVolume)
	err := f(call, reference)
	done(err)
	return err
}

func isNotFound(err error) bool { return provider.KindOf(err) == provider.KindNotFound }
