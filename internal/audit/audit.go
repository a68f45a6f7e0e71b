package audit

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Kind is the kind of an actor.
type Kind string

// The kinds of actors.
const (
	User     Kind = "user"
	Key      Kind = "key"
	Operator Kind = "operator"
	System   Kind = "system"
)

// Kinds lists every kind.
var Kinds = []Kind{User, Key, Operator, System}

// Enum lists every kind of actor.
func (Kind) Enum() []Kind { return Kinds }

// Actor is the user, key or system that made a change.
type Actor struct {
	Kind Kind   `json:"kind" doc:"A user, an API key, the operator, or the system."`
	ID   id.ID  `json:"id" doc:"Id of the user or API key; empty if there is neither."`
	Name string `json:"name" doc:"Name at the time."`
}

// Entry is one entry of the record.
type Entry struct {
	ID      id.ID     `json:"id" doc:"Id of the entry, aud_…"`
	Account id.ID     `json:"-"`
	At      time.Time `json:"at" doc:"When it was done."`
	Actor   Actor     `json:"actor" doc:"Who did it."`
	// Action is the operationId of the call, or another word if there was no call.
	Action  string `json:"action" doc:"What was done: the operationId of the call, or another word where there was none: signInFailed, closeConsole."`
	Subject id.ID  `json:"subject" doc:"Id of what was changed; empty if it has none."`
	// SubjectName is stored with what deletes the subject. Else it is found when entries are read.
	SubjectName string `json:"subjectName" doc:"Name of what was changed: the present one, or the last one of what was deleted; empty if it has none."`
	Address     string `json:"address" doc:"IP address of the request."`
	RequestID   id.ID  `json:"requestId" doc:"X-Request-Id of the call."`
	Detail      string `json:"detail" doc:"Reason that an operator gives, or how long a console was open; empty for most entries."`
}

// withoutAccountKept is how long entries without an account are kept.
const withoutAccountKept = 24 * time.Hour

// newest is how many entries Has searches for a recent request.
const newest = 1000

// Filter selects entries. An empty field selects every entry.
type Filter struct {
	Actor   id.ID
	Action  string
	Subject id.ID
	// From is inclusive, To exclusive.
	From, To *time.Time
}

// Service keeps the record.
type Service struct{ ids *id.Maker }

// New returns a Service. It panics without a maker of ids.
func New(ids *id.Maker) *Service {
	if ids == nil {
		panic("audit: New needs a maker of ids")
	}
	return &Service{ids}
}

// Append adds entries to the account's record. It sets each entry's id, and its time to that of the
// change.
func (s *Service) Append(ctx context.Context, tx *db.Tx, all ...Entry) error {
	all = slices.Clone(all)
	for i := range all {
		all[i].ID, all[i].At = s.ids.New(id.Audit), tx.Now
	}
	return insert(ctx, tx, all)
}

// Forget deletes up to ten entries without an account that are older than a day. No tenant can read
// them, and anyone can cause them.
func (s *Service) Forget(ctx context.Context, tx *db.Tx) error {
	return forget(ctx, tx, tx.Now.Add(-withoutAccountKept))
}

// Has reports whether one of the account's newest entries is of that request.
func (s *Service) Has(ctx context.Context, r db.Reader, account, request id.ID) (bool, error) {
	return has(ctx, r, account, request, newest)
}

// List returns a page of the account's entries that the filter selects, newest first, with the
// names of their subjects.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, db.Listed,
	error) {
	page, of, err := list(ctx, r, account, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	named, err := names(ctx, r, account, unnamed(page))
	if err != nil {
		return nil, db.Listed{}, err
	}
	for i := range page {
		page[i].SubjectName = cmp.Or(page[i].SubjectName, named[page[i].Subject])
	}
	return page, of, nil
}

// unnamed returns the subjects whose names the entries do not have, by their kind.
func unnamed(page []Entry) map[id.Kind][]id.ID {
	out := map[id.Kind][]id.ID{}
	for _, e := range page {
		kind := e.Subject.Kind()
		if e.SubjectName == "" && kind != "" && !slices.Contains(out[kind], e.Subject) {
			out[kind] = append(out[kind], e.Subject)
		}
	}
	return out
}
