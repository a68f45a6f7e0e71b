package issue

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// Config is what a Service needs. Every field is required but Paused.
type Config struct {
	IDs    *id.Maker
	Jobs   *job.Queue
	Log    *slog.Logger
	Policy Policy
	// Paused reports whether the policy ends nothing for now; nil if it never pauses.
	Paused func() bool
}

// endsOrphans reports whether the policy ends orphaned machines now.
func (s *Service) endsOrphans() bool {
	return s.cfg.Policy.EndOrphans && (s.cfg.Paused == nil || !s.cfg.Paused())
}

// Service owns the issues. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Open reports whether the provider has issues of those kinds that no operator has dismissed.
func (s *Service) Open(ctx context.Context, r db.Reader, provider string, kinds []Kind) (bool, error) {
	return live(ctx, r, provider, kinds, ` AND state = 'open'`)
}

// Live reports whether the provider has issues of those kinds that are not closed.
func (s *Service) Live(ctx context.Context, r db.Reader, provider string, kinds []Kind) (bool, error) {
	return live(ctx, r, provider, kinds, ``)
}

// Report writes everything that a watch found of those kinds at the provider. What it does not name
// was not there.
func (s *Service) Report(ctx context.Context, tx *db.Tx, provider string, watched []Kind, found []Sighting) error {
	if err := s.raise(ctx, tx, provider, found); err != nil {
		return err
	}
	before := tx.Now.Add(-settleAfter)
	if err := closeUnseen(ctx, tx, provider, watched, before); err != nil {
		return err
	}
	listed, err := unconfirm(ctx, tx, provider, watched, before)
	if err != nil {
		return err
	}
	for _, i := range listed { // confirmed as gone, and still listed
		if err := s.cfg.Jobs.Enqueue(ctx, tx, jobOwner, KindEnd, i, tx.Now); err != nil {
			return err
		}
	}
	if slices.Contains(watched, OrphanedMachine) {
		return s.applyPolicy(ctx, tx, provider)
	}
	return nil
}

// Raise writes one thing that was found outside a watch.
func (s *Service) Raise(ctx context.Context, tx *db.Tx, provider string, o Sighting) error {
	return s.raise(ctx, tx, provider, []Sighting{o})
}

func (s *Service) raise(ctx context.Context, tx *db.Tx, provider string, found []Sighting) error {
	type key struct {
		kind    Kind
		subject string
	}
	var news, known []Sighting
	seen := map[key]bool{}
	for _, o := range found {
		k := key{o.Kind, o.subject()}
		switch {
		case seen[k]: // a list that names it twice
		case o.Known:
			known = append(known, o)
		default:
			news = append(news, o)
		}
		seen[k] = true
	}
	if err := touch(ctx, tx, provider, known); err != nil {
		return err
	}
	raised, err := s.upsert(ctx, tx, provider, news)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		for _, o := range raised {
			s.cfg.Log.WarnContext(ctx, "a new issue", "kind", o.Kind, "provider", provider,
				"reference", o.Reference, "upstreamId", Plain(o.UpstreamID), "detail", o.Detail)
		}
	})
	return nil
}

// applyPolicy schedules the end of the provider's orphaned machines, or holds it if there are too
// many.
func (s *Service) applyPolicy(ctx context.Context, tx *db.Tx, provider string) error {
	if !s.endsOrphans() {
		return nil
	}
	open, held, err := countOrphans(ctx, tx, provider)
	if err != nil || open == 0 {
		return err
	}
	if open > BreakerLimit || held > 0 {
		n, err := hold(ctx, tx, provider)
		if n > 0 {
			tx.AfterCommit(func() {
				s.cfg.Log.ErrorContext(ctx, "too many orphaned machines at once: the policy ends none of them. "+
					"Is this a restored backup, or another Billet in the same provider account?",
					"provider", provider, "open", open)
			})
		}
		return err
	}
	at := tx.Now.Add(s.cfg.Policy.Grace)
	scheduled, err := schedule(ctx, tx, provider, at)
	if err != nil {
		return err
	}
	for _, i := range scheduled { // at most BreakerLimit
		if err := s.cfg.Jobs.Enqueue(ctx, tx, jobOwner, KindEnd, i, at); err != nil {
			return err
		}
	}
	return nil
}

// Filter narrows a list. Zero fields do not.
type Filter struct {
	State    State
	Kind     Kind
	Provider string
}

// List returns a page of the issues, newest first, and how many there are.
func (s *Service) List(ctx context.Context, r db.Reader, f Filter, p db.Page) ([]Issue, db.Listed, error) {
	return list(ctx, r, f, p)
}

// Get returns one issue, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, issue id.ID) (Issue, error) {
	i, found, err := find(ctx, r, issue)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No issue has this id. List them with GET /operator/issues.")
	}
	return i, err
}

// End has the subject ended by a job, whatever the policy, and returns the issue. Repeating it
// succeeds. It returns NOT_FOUND, or CONFLICT if Billet cannot end it, with what to do instead.
func (s *Service) End(ctx context.Context, tx *db.Tx, issue id.ID) (Issue, error) {
	i, err := s.Get(ctx, tx, issue)
	switch {
	case err != nil:
		return i, err
	case i.ClosedAt != nil:
		return i, closedError(i)
	case !i.Endable:
		return i, apierr.New(apierr.Conflict, "%s", advice(i))
	}
	if changed, err := begin(ctx, tx, issue); err != nil || !changed {
		return i, orConflict(err)
	}
	if err := s.cfg.Jobs.Enqueue(ctx, tx, jobOwner, KindEnd, issue, tx.Now); err != nil {
		return i, err
	}
	return s.Get(ctx, tx, issue)
}

// Dismiss closes an issue that needs no action: it is not raised again while its subject exists. It
// returns INVALID_REQUEST for a note that is too long or has control characters, NOT_FOUND, or
// CONFLICT if the subject is gone or being ended.
func (s *Service) Dismiss(ctx context.Context, tx *db.Tx, issue id.ID, note string) (Issue, error) {
	if err := apierr.Invalid(apierr.CheckText("note", note, maxNote)).OrNil(); err != nil {
		return Issue{}, err
	}
	i, err := s.undecided(ctx, tx, issue)
	if err != nil {
		return i, err
	}
	if changed, err := dismiss(ctx, tx, issue, Plain(note)); err != nil || !changed {
		return i, orConflict(err)
	}
	return s.Get(ctx, tx, issue)
}

// Orphan returns an open issue about an orphaned machine that is not being ended, to be adopted. It
// returns NOT_FOUND, or CONFLICT for another issue.
func (s *Service) Orphan(ctx context.Context, tx *db.Tx, issue id.ID) (Issue, error) {
	i, err := s.undecided(ctx, tx, issue)
	if err == nil && (i.Kind != OrphanedMachine || !i.Endable || i.Reference == nil || i.UpstreamID == nil) {
		err = apierr.New(apierr.Conflict, "Only a machine that had a deployment here can be adopted. %s", advice(i))
	}
	return i, err
}

// undecided returns an issue whose subject exists and is not being ended, NOT_FOUND or CONFLICT.
func (s *Service) undecided(ctx context.Context, tx *db.Tx, issue id.ID) (Issue, error) {
	i, err := s.Get(ctx, tx, issue)
	switch {
	case err != nil:
	case i.ClosedAt != nil:
		err = closedError(i)
	case i.EndingSince != nil:
		err = apierr.New(apierr.Conflict, "The provider has already been asked to end it. That cannot be undone.")
	}
	return i, err
}

// Resolve closes what Raise has raised, with a note: it was decided about elsewhere. If it is found
// again, it is a new issue.
func (s *Service) Resolve(ctx context.Context, tx *db.Tx, provider string, o Sighting, note string) error {
	return resolve(ctx, tx, provider, o, Plain(note))
}

// SettleOthers closes what Raise has raised of the same kind, except what is about the same subject
// and was seen after that time.
func (s *Service) SettleOthers(
	ctx context.Context, tx *db.Tx, provider string, kept Sighting, seenAfter time.Time,
) error {
	return settleOthers(ctx, tx, provider, kept, seenAfter)
}

func orConflict(err error) error {
	if err != nil {
		return err
	}
	return apierr.New(apierr.Conflict, "The issue was changed at the same time. Get it and try again.")
}

func closedError(i Issue) error {
	if i.Kind == RefusingBMC {
		return apierr.New(apierr.Conflict, "The issue was closed at %s: the BMC no longer refuses Billet.",
			i.ClosedAt.Format(time.RFC3339))
	}
	return apierr.New(apierr.Conflict, "The issue was closed at %s: its machine or volume no longer exists.",
		i.ClosedAt.Format(time.RFC3339))
}

// advice is why Billet does not end the subject of an issue, and what to do.
func advice(i Issue) string {
	switch i.Kind {
	case UndeadMachine, StuckTermination:
		return "Billet is already ending this machine, and asks the provider again until it is gone."
	case PriceMismatch:
		return "This machine belongs to a running deployment; only its price differs. " +
			"Compare the offer with the provider's bill, or dismiss the issue."
	case PrivateAddress:
		return "This machine belongs to a deployment. Allow private addresses for this provider account " +
			"if its machines have them, or contact the provider."
	case PaymentMismatch:
		return "Compare the payment at the processor with the top-up, correct the wallet or the payment, and dismiss " +
			"the issue."
	case PaymentDispute:
		return "Answer the dispute at the processor. The money is in the wallet again if it is won. Dismiss the issue."
	case InvoiceDifference:
		return "Compare the account's transactions of the month with the invoice. If it is too high, issue a credit " +
			"note. If it is too low, ask your tax adviser how to bill the rest. Then dismiss the issue, and check " +
			"the server's clock."
	case FailedGPUs:
		return "Billet ends the machine with its deployment. The tenant has root on a machine that runs and can " +
			"change what a check reads, so inspect the machine before you report the GPUs to the provider. Then " +
			"dismiss the issue."
	case RefusingBMC:
		return "Find out who changed the BMC, and enter the password or the certificate that is valid with " +
			"`billetd machines set` or on the page Machines. The issue closes once the BMC accepts it."
	case LostMachine:
		return "There is no machine left to end."
	case DuplicateMachine:
		return "Billet cannot end this machine alone: a provider ends machines by their reference, and the " +
			"deployment's own machine has the same one. End it at the provider, by its upstreamId."
	case OrphanedMachine:
		return "This machine has the reference of a deployment at another provider here. If both are the same " +
			"provider account, it is that deployment's own. End it at the provider if it is not."
	case OrphanedVolume:
		if i.VolumeID != nil {
			return "Billet is already deleting this volume, and asks the provider again until it is gone."
		}
	}
	return "It has no Billet reference and may belong to another system. End it at the provider, or dismiss the issue."
}

// Count is how many issues of a kind a provider has in a state.
type Count struct {
	Provider string
	Kind     Kind
	State    State
	Issues   int64
}

// Undecided returns how many orphaned machines and volumes no operator has dismissed, and that
// are not being ended.
func (s *Service) Undecided(ctx context.Context, r db.Reader) (int64, error) {
	return undecided(ctx, r)
}

// Counts returns how many issues are open and how many were ever ended, with one query.
func (s *Service) Counts(ctx context.Context, r db.Reader) ([]Count, error) { return counts(ctx, r) }

// Purge deletes up to limit issues that were closed before that time, except those that Billet
// ended, and returns how many.
func (s *Service) Purge(ctx context.Context, tx *db.Tx, before time.Time, limit int) (int64, error) {
	return purge(ctx, tx, before, limit)
}
