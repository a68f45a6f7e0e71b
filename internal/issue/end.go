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
	// askLimit is how long a provider may take for one look, in real time.
	askLimit = time.Minute
	// slowest is the longest pause between two requests to end the same thing, unless the provider asked for a longer one.
	slowest = 10 * time.Minute
)

// RemoverConfig is what an Remover needs. Every field is required.
type RemoverConfig struct {
	DB        *db.DB
	Clock     clock.Clock
	Issues    *Service
	Providers *provider.Registry
}

// Remover asks providers to end what was found.
type Remover struct{ c RemoverConfig }

// NewRemover returns an Remover. It panics when a field is missing.
func NewRemover(c RemoverConfig) *Remover {
	if c.DB == nil || c.Clock == nil || c.Issues == nil || c.Providers == nil {
		panic("issue: NewRemover needs every field of its Config")
	}
	return &Remover{c}
}

// End is the handler of KindEnd: it ends what an operator, or policy, wants to be ended, and asks again until the provider
// says that it is gone. It may be ended at any point and repeated.
func (e *Remover) End(ctx context.Context, issue id.ID) (job.Outcome, error) {
	f, found, err := one(ctx, e.c.DB, issue)
	if err != nil || !found || f.State != StateOpen || !f.Endable || f.Reference == nil {
		return job.Done(), err
	}
	p, configured := e.c.Providers.Get(f.Provider)
	if !configured {
		return job.Outcome{}, fmt.Errorf("provider %s is not configured any more, and issue %s is open", f.Provider, f.ID)
	}
	if f.EndingSince == nil {
		begun, err := e.beginByPolicy(ctx, f)
		if err != nil || !begun {
			return job.Done(), err
		}
		now := e.c.Clock.Now()
		f.EndingSince = &now
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	gone, err := e.end(ask, p, f)
	if err != nil && !provider.Decided(err) {
		if e := (*provider.Error)(nil); !errors.As(err, &e) || e.RetryAfter == 0 {
			return job.Outcome{}, err
		}
	}
	problem, now := "", e.c.Clock.Now()
	again := max(p.Info().PollEvery, time.Second, min(now.Sub(*f.EndingSince)/10, slowest))
	if err != nil {
		problem = "The provider refused."
		if e := (*provider.Error)(nil); errors.As(err, &e) {
			if e.Message != "" {
				problem = Plain(e.Message)
			}
			again = max(again, e.RetryAfter)
		}
		again = max(again, time.Minute)
	}
	err = e.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var confirmed *time.Time
		if gone {
			confirmed = &tx.Now
		}
		return answered(ctx, tx, f.ID, problem, confirmed)
	})
	if err != nil || gone {
		return job.Done(), err // the watch closes the issue, or has it ended again where it is still listed
	}
	return job.At(now.Add(again)), nil
}

// beginByPolicy commits to ending an unowned machine whose grace is over.
func (e *Remover) beginByPolicy(ctx context.Context, f Issue) (begun bool, err error) {
	err = e.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if !e.c.Issues.c.Policy.EndUnowned { // it was started with another policy meanwhile
			return unschedule(ctx, tx, f.ID)
		}
		begun, err = beginByPolicy(ctx, tx, f.Provider, f.ID)
		return err
	})
	return begun, err
}

// end asks for the end and tells whether the provider has it no more.
func (e *Remover) end(ctx context.Context, p provider.Provider, f Issue) (gone bool, err error) {
	if err := job.Holds(ctx); err != nil {
		return false, err
	}
	reference := id.ID(*f.Reference)
	if f.Kind == OrphanedVolume {
		v, keeps := p.(provider.VolumeProvider)
		if !keeps {
			return false, fmt.Errorf("provider %s has no volumes any more", f.Provider)
		}
		err := v.DeleteVolume(ctx, reference)
		if err != nil && provider.KindOf(err) == provider.KindRejected { // some machine has it
			if err := v.DetachVolume(ctx, reference); err != nil && provider.KindOf(err) != provider.KindNotFound {
				return false, err
			}
			err = v.DeleteVolume(ctx, reference)
		}
		if err != nil && provider.KindOf(err) != provider.KindNotFound {
			return false, err
		}
		_, err = v.Volume(ctx, reference)
		return isGone(err)
	}
	if err := p.Terminate(ctx, reference); err != nil && provider.KindOf(err) != provider.KindNotFound {
		return false, err
	}
	m, err := p.Machine(ctx, reference)
	if err == nil {
		return m.State == provider.MachineGone, nil
	}
	return isGone(err)
}

func isGone(err error) (bool, error) {
	if err != nil && provider.KindOf(err) == provider.KindNotFound {
		return true, nil
	}
	return false, err
}
