package audit

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Kind says what sort of actor somebody is.
type Kind string

// The kinds of actors.
const (
	User     Kind = "user"
	Key      Kind = "key"
	Operator Kind = "operator"
	System   Kind = "system"
)

// Kinds are all of them.
var Kinds = []Kind{User, Key, Operator, System}

// Actor is who did it.
type Actor struct {
	Kind Kind   `json:"kind" doc:"A user, an API key, the operator, or the system itself."`
	ID   id.ID  `json:"id" doc:"Id of the user or API key; empty where it is neither."`
	Name string `json:"name" doc:"What they were called then."`
}

// Entry is one line of the record.
type Entry struct {
	ID      id.ID     `json:"id" doc:"Id of the entry, aud_…"`
	Account id.ID     `json:"-"`
	At      time.Time `json:"at" doc:"When it was done."`
	Actor   Actor     `json:"actor" doc:"Who did it."`
	// Action is the operationId of the call, or a word of its own for what is no call.
	Action    string `json:"action" doc:"What was done: the operationId of the call."`
	Subject   id.ID  `json:"subject" doc:"What it was done to; empty where that has no id."`
	Address   string `json:"address" doc:"From which address."`
	RequestID id.ID  `json:"requestId" doc:"X-Request-Id of the call."`
}

// unownedKept is how long entries of no account are kept.
const unownedKept = 24 * time.Hour

// newest is how many entries are looked through for one that was just made.
const newest = 1000

// Filter says which entries are wanted; what is empty filters nothing.
type Filter struct {
	Actor   id.ID
	Action  string
	Subject id.ID
	// From counts in, To does not.
	From, To *time.Time
}

// Service keeps the record.
type Service struct{ ids *id.Maker }

// New returns a Log. It panics without a maker of ids.
func New(ids *id.Maker) *Service {
	if ids == nil {
		panic("audit: New needs a maker of ids")
	}
	return &Service{ids}
}

// Append adds an entry to the account's record, at the time of the change. It gives it its id and time.
func (l *Service) Append(ctx context.Context, tx *db.Tx, e Entry) error {
	e.ID, e.At = l.ids.New(id.Audit), tx.Now
	return insert(ctx, tx, e)
}

// Forget deletes up to ten entries of no account that are older than a day. Nobody can read them, and anybody can have them written.
func (l *Service) Forget(ctx context.Context, tx *db.Tx) error {
	return forget(ctx, tx, tx.Now.Add(-unownedKept))
}

// Has tells whether the account's newest entries hold one of that request.
func (l *Service) Has(ctx context.Context, r db.Reader, account, request id.ID) (bool, error) {
	return has(ctx, r, account, request, newest)
}

// List returns a page of the account's entries that the filter lets through, newest first, and how many there are.
func (l *Service) List(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Entry, db.Listed, error) {
	return list(ctx, r, account, f, p)
}
