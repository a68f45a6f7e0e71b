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
	"github.com/billetcloud/billet/internal/provider"
)

// Kind says what was found.
type Kind string

// The kinds.
const (
	// OrphanedMachine has a reference of the form of our deployment ids, and there is no such deployment here.
	OrphanedMachine Kind = "orphaned_machine"
	// UndeadMachine is still there although its deployment's machine was confirmed to have ended. It is ended again.
	UndeadMachine Kind = "undead_machine"
	// DuplicateMachine is a second machine under the reference of a deployment that has one.
	DuplicateMachine Kind = "duplicate_machine"
	// UnmanagedMachine has no reference of ours.
	UnmanagedMachine Kind = "unmanaged_machine"
	// LostMachine is one that the provider does not know any more and whose deployment ran.
	LostMachine Kind = "lost_machine"
	// StuckTermination is a machine whose end the provider has refused or not confirmed for over an hour.
	StuckTermination Kind = "stuck_termination"
	// OrphanedVolume is a volume that nobody here has, or has any more.
	OrphanedVolume Kind = "orphaned_volume"
	// PriceMismatch is a machine for which the provider states another price than its offer had.
	PriceMismatch Kind = "price_mismatch"
	// PrivateAddress is a machine whose address is not on the Internet, at a provider where it must be.
	PrivateAddress Kind = "private_address"
)

// Kinds are all kinds.
var Kinds = []Kind{OrphanedMachine, UndeadMachine, DuplicateMachine, UnmanagedMachine, LostMachine, StuckTermination, OrphanedVolume, PriceMismatch, PrivateAddress}

// Enum lists every kind of issue.
func (Kind) Enum() []Kind { return Kinds }

// State is what became of a issue.
type State string

// The states.
const (
	StateOpen      State = "open"
	StateEnded     State = "ended"     // Billet had it ended, and it is gone
	StateDismissed State = "dismissed" // an operator said that it is all right
	StateSettled   State = "settled"   // it is gone, by itself or by somebody else
)

// States are all states.
var States = []State{StateOpen, StateEnded, StateDismissed, StateSettled}

// Enum lists every state.
func (State) Enum() []State { return States }

// KindEnd is the job that ends what one issue is about; its subject is the issue's id.
const KindEnd job.Kind = "issue-removal"

// Cleaner is whose work it is: all issues take turns with the accounts as one.
const Cleaner id.ID = "issues"

const (
	// BreakerLimit is how many unowned machines may be open at one provider for policy to end them.
	BreakerLimit = 5
	// DefaultGrace is how long an unowned machine is left alone.
	DefaultGrace = time.Hour
	// settleAfter is how long no list may have shown a issue for it to close, in the server's time.
	settleAfter = 5 * time.Minute
	// maxNote is how long an operator's note may be, in characters.
	maxNote = 500
)

// Policy says what is ended without an operator.
type Policy struct {
	// EndUnowned has unowned machines ended, Grace after they were first seen.
	EndUnowned bool
	Grace      time.Duration
}

// Issue is what was found, as an operator sees it.
type Issue struct {
	ID           id.ID      `json:"id" doc:"Id of the issue, iss_…."`
	Kind         Kind       `json:"kind" doc:"What was found."`
	Provider     string     `json:"provider" doc:"Slug of the provider."`
	UpstreamID   *string    `json:"upstreamId" doc:"The provider's own name of the machine or volume; null where it is not known."`
	Reference    *string    `json:"reference" doc:"Our name of it, as the provider tells it; null where it has none."`
	DeploymentID *id.ID     `json:"deploymentId" doc:"The deployment that it belongs or belonged to; null where there is none here."`
	VolumeID     *id.ID     `json:"volumeId" doc:"The volume that it belonged to; null where there is none here."`
	Detail       string     `json:"detail" doc:"The same in words."`
	State        State      `json:"state" doc:"open until it is dismissed, or gone: ended where Billet had it ended, settled otherwise."`
	Endable      bool       `json:"endable" doc:"Whether an operator can have Billet end it. Billet ends nothing that may be somebody else's, or where it might hit what is owned."`
	FirstSeenAt  time.Time  `json:"firstSeenAt" doc:"When it was first seen."`
	LastSeenAt   time.Time  `json:"lastSeenAt" doc:"When it was last seen."`
	EndAfter     *time.Time `json:"endAfter" doc:"When policy ends it; null where it does not."`
	Held         bool       `json:"held" doc:"Too many were open at this provider at once, so that no policy ends it: an operator decides."`
	EndingSince  *time.Time `json:"endingSince" doc:"Since when the provider is asked to end it; null where it is not."`
	ClosedAt     *time.Time `json:"closedAt" doc:"When it was known to be gone; null before."`
	Problem      *string    `json:"problem" doc:"What the provider said last to ending it; null where it said nothing."`
	Note         *string    `json:"note" doc:"The operator's note."`
}

// Sighting is something that a watch has seen and nobody owns.
type Sighting struct {
	Kind       Kind
	UpstreamID string
	Reference  id.ID
	// Deployment and Volume are those that it belongs or belonged to, or "".
	Deployment, Volume id.ID
	Detail             string
	// Endable tells that Terminate, or DeleteVolume, with the reference ends this and nothing else.
	Endable bool
	// Known tells that this is no news: it keeps a issue from closing, and makes none.
	Known bool
}

// subject is what the issue is unique by. One reference is one thing, except where it is not.
func (o Sighting) subject() string {
	foreign := o.Kind == UnmanagedMachine || o.Kind == OrphanedVolume && !o.Reference.Valid(id.Volume)
	if foreign || o.Kind == DuplicateMachine {
		return Plain(o.UpstreamID)
	}
	return Plain(string(o.Reference))
}

// Config is what a Service needs. Every field is required.
type Config struct {
	IDs    *id.Maker
	Jobs   *job.Queue
	Log    *slog.Logger
	Policy Policy
}

// Service keeps the issues. It is safe for concurrent use.
type Service struct{ c Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.IDs == nil || c.Jobs == nil || c.Log == nil || c.Policy.Grace < 0 {
		panic("issue: New needs every field of its Config")
	}
	return &Service{c}
}

// Live tells whether the provider has issues of those kinds that are not closed.
func (s *Service) Live(ctx context.Context, r db.Reader, provider string, kinds []Kind) (bool, error) {
	return live(ctx, r, provider, kinds)
}

// Report writes what a watch saw of those kinds at the provider, all of it: what it does not name was not there.
func (s *Service) Report(ctx context.Context, tx *db.Tx, provider string, watched []Kind, seen []Sighting) error {
	if err := s.raise(ctx, tx, provider, seen); err != nil {
		return err
	}
	if err := closeUnseen(ctx, tx, provider, watched, tx.Now.Add(-settleAfter)); err != nil {
		return err
	}
	again, err := unconfirm(ctx, tx, provider, watched, tx.Now.Add(-settleAfter))
	if err != nil {
		return err
	}
	for _, f := range again { // said to be gone, and still listed
		if err := s.c.Jobs.Enqueue(ctx, tx, Cleaner, KindEnd, f, tx.Now); err != nil {
			return err
		}
	}
	if slices.Contains(watched, OrphanedMachine) {
		return s.plan(ctx, tx, provider)
	}
	return nil
}

// Raise writes one thing that was found outside a watch.
func (s *Service) Raise(ctx context.Context, tx *db.Tx, provider string, o Sighting) error {
	return s.raise(ctx, tx, provider, []Sighting{o})
}

func (s *Service) raise(ctx context.Context, tx *db.Tx, provider string, seen []Sighting) error {
	type key struct {
		kind    Kind
		subject string
	}
	var news, known []Sighting
	done := map[key]bool{}
	for _, o := range seen {
		k := key{o.Kind, o.subject()}
		switch {
		case done[k]: // a list that names it twice
		case o.Known:
			known = append(known, o)
		default:
			news = append(news, o)
		}
		done[k] = true
	}
	if err := touch(ctx, tx, provider, known); err != nil {
		return err
	}
	made, err := s.upsert(ctx, tx, provider, news)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		for _, o := range made {
			s.c.Log.WarnContext(ctx, "found what nobody owns", "kind", o.Kind, "provider", provider, "reference", o.Reference, "upstreamId", Plain(o.UpstreamID), "detail", o.Detail)
		}
	})
	return nil
}

// plan says when policy ends which unowned machines of the provider.
func (s *Service) plan(ctx context.Context, tx *db.Tx, provider string) error {
	if !s.c.Policy.EndUnowned {
		return nil
	}
	open, held, err := countUnowned(ctx, tx, provider)
	if err != nil || open == 0 {
		return err
	}
	if open > BreakerLimit || held > 0 {
		n, err := hold(ctx, tx, provider)
		if n > 0 {
			tx.AfterCommit(func() {
				s.c.Log.ErrorContext(ctx, "so many unowned machines at once that none is ended by policy; is this a restored backup, or another Billet in the same account?", "provider", provider, "open", open)
			})
		}
		return err
	}
	at := tx.Now.Add(s.c.Policy.Grace)
	fresh, err := schedule(ctx, tx, provider, at)
	if err != nil {
		return err
	}
	for _, f := range fresh { // at most BreakerLimit
		if err := s.c.Jobs.Enqueue(ctx, tx, Cleaner, KindEnd, f, at); err != nil {
			return err
		}
	}
	return nil
}

// Filter narrows a list; zero fields do not.
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
	f, found, err := one(ctx, r, issue)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no issue with this id; GET /issues lists them.")
	}
	return f, err
}

// End has the thing ended by a job, whatever the policy, and returns the issue as it is now. To ask again is success. It
// answers NOT_FOUND, or CONFLICT where Billet does not end such a thing, with what to do instead.
func (s *Service) End(ctx context.Context, tx *db.Tx, issue id.ID) (Issue, error) {
	f, err := s.Get(ctx, tx, issue)
	if err != nil {
		return f, err
	}
	switch {
	case f.ClosedAt != nil:
		return f, over(f)
	case !f.Endable:
		return f, apierr.New(apierr.Conflict, "%s", why(f))
	}
	if changed, err := begin(ctx, tx, issue); err != nil || !changed {
		return f, orMoved(err)
	}
	if err := s.c.Jobs.Enqueue(ctx, tx, Cleaner, KindEnd, issue, tx.Now); err != nil {
		return f, err
	}
	return s.Get(ctx, tx, issue)
}

// Dismiss says that the thing is all right: it is not raised again while it is there. It answers INVALID_REQUEST for a note that is too
// long or has hidden characters, NOT_FOUND, or CONFLICT where the thing is gone or being ended.
func (s *Service) Dismiss(ctx context.Context, tx *db.Tx, issue id.ID, note string) (Issue, error) {
	if err := apierr.Invalid(apierr.CheckText("note", note, maxNote)).OrNil(); err != nil {
		return Issue{}, err
	}
	f, err := s.Get(ctx, tx, issue)
	switch {
	case err != nil:
		return f, err
	case f.ClosedAt != nil:
		return f, over(f)
	case f.EndingSince != nil:
		return f, apierr.New(apierr.Conflict, "The provider is being asked to end it already; that cannot be taken back.")
	}
	if changed, err := dismiss(ctx, tx, issue, Plain(note)); err != nil || !changed {
		return f, orMoved(err)
	}
	return s.Get(ctx, tx, issue)
}

func orMoved(err error) error {
	if err != nil {
		return err
	}
	return apierr.New(apierr.Conflict, "The issue changed at this very moment; look at it again.")
}

func over(f Issue) error {
	return apierr.New(apierr.Conflict, "This issue is closed since %s: what it is about is not there any more.", f.ClosedAt.Format(time.RFC3339))
}

// why says why Billet does not end such a thing, and what to do.
func why(f Issue) string {
	switch f.Kind {
	case UndeadMachine, StuckTermination:
		return "Billet is ending this machine already, and asks the provider again until it is gone."
	case PriceMismatch:
		return "This machine belongs to a running deployment; only its price is another than agreed. Compare the offer with the provider's bill, or dismiss this."
	case PrivateAddress:
		return "This machine belongs to a deployment. Allow private addresses for this provider account if its machines have them, or ask the provider."
	case LostMachine:
		return "There is no machine left to end."
	case DuplicateMachine:
		return "Billet cannot end this machine alone: a provider ends machines by their reference, and its deployment's own machine has the same. End it at the provider, by its upstreamId."
	case OrphanedMachine:
		return "This machine has the reference of a deployment at another provider here. Where both are the same account, it is that deployment's own. End it at the provider if it is not."
	case OrphanedVolume:
		if f.VolumeID != nil {
			return "Billet is deleting this volume already, and asks the provider again until it is gone."
		}
	}
	return "It has no reference of ours, so that it may be somebody else's. End it at the provider, or dismiss the issue."
}

// Count is how many issues of a kind a provider has in a state.
type Count struct {
	Provider string
	Kind     Kind
	State    State
	Issues   int64
}

// Counts returns how many issues are open and how many have ever been ended, with one query.
func (s *Service) Counts(ctx context.Context, r db.Reader) ([]Count, error) { return counts(ctx, r) }

// Plain is a text of a provider's or an operator's, bounded, in UTF-8 and without control characters, which the database and a
// terminal would mind.
func Plain(s string) string { return provider.Plain(s, maxNote) }
