package adjustment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/settings"
)

// KindExpire is the job that ends a pending adjustment, which is its subject.
const KindExpire job.Kind = "adjustment-expire"

const (
	// PendingFor is how long an adjustment waits for its approval.
	PendingFor = 30 * 24 * time.Hour
	// together is how long what was booked without approval counts.
	together = 24 * time.Hour
	// maxPending is the most pending adjustments of an account.
	maxPending = 20
	// maxReason is the most characters of a reason and of a comment.
	maxReason = 500
)

// State is the state of an adjustment.
type State string

// The states.
const (
	Booked    State = "booked" // without approval
	Pending   State = "pending"
	Approved  State = "approved" // and booked
	Rejected  State = "rejected"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
)

// Enum lists every state.
func (State) Enum() []State { return []State{Booked, Pending, Approved, Rejected, Withdrawn, Expired} }

// Adjustment is an amount that an operator adds to a wallet or removes from it.
type Adjustment struct {
	ID        id.ID        `json:"id" doc:"Id of the adjustment, adj_…"`
	Account   id.ID        `json:"accountId" doc:"Id of the account, acc_…"`
	State     State        `json:"state" doc:"booked if it needed no approval; pending until another operator approves or rejects it, who asked withdraws it, or it expires after 30 days. Only a booked or an approved one has moved money."`
	Amount    money.Micros `json:"amount" doc:"US dollars that are added; below 0 they are removed."`
	Note      string       `json:"note" doc:"Description of the transaction, which the account reads."`
	Reference string       `json:"reference" doc:"The operator's reference; empty if there is none."`
	Reason    string       `json:"reason" doc:"Reason, which operators read; may be empty if it needed no approval."`
	// Comment is that of who decided.
	Comment string `json:"comment" doc:"Comment of the operator who approved or rejected it; may be empty."`
	// CreditExpiresAt is nil for a credit that does not expire, and for what is removed.
	CreditExpiresAt *time.Time      `json:"creditExpiresAt" doc:"When the credit that it gives expires; null for never."`
	CreatedBy       creator.Creator `json:"createdBy" doc:"Who asked for it."`
	CreatedAt       time.Time       `json:"createdAt" doc:"When it was asked for."`
	// ExpiresAt is nil for one that needed no approval.
	ExpiresAt *time.Time       `json:"expiresAt" doc:"Until when it can be approved; null if it needed no approval."`
	DecidedBy *creator.Creator `json:"decidedBy" doc:"Who approved, rejected or withdrew it; null if it was not decided, or expired."`
	DecidedAt *time.Time       `json:"decidedAt" doc:"When it was approved, rejected or withdrawn, or expired; null before, and if it needed no approval."`
}

// Request is an adjustment to be made.
type Request struct {
	Account id.ID
	// Amount is not 0. Below 0 it removes credit.
	Amount money.Micros
	// Note is the text on the statement; "" for a default one.
	Note string
	// Reference is used once among all accounts; "" creates one.
	Reference string
	// Reason is for the operator who approves it; required if an approval is needed.
	Reason string
	// CreditExpiresAt is when what is left of the credit expires; nil for never.
	CreditExpiresAt *time.Time
}

func (q Request) credit() operator.Credit {
	return operator.Credit{
		Amount: q.Amount, Note: q.Note, Reference: q.Reference, ExpiresAt: q.CreditExpiresAt,
	}
}

// By is an operator who asks for or decides about an adjustment.
type By struct {
	creator.Creator
	// User is the user behind the call: who is signed in, or who made the API key. It is "" for the
	// command on the server's host, and for a key that was made there.
	User id.ID
}

// Host is the command on the server's host.
var Host = By{Creator: creator.Creator{Type: creator.Operator, Name: "billetd"}}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB       *db.DB
	IDs      *id.Maker
	Jobs     *job.Queue
	Operator *operator.Service
	Settings *settings.Service
}

// Service owns adjustments. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Jobs == nil || c.Operator == nil || c.Settings == nil {
		panic("adjustment: New needs every field of its Config")
	}
	return &Service{c}
}

// Result is what became of a request.
type Result struct {
	Account operator.Account
	// Adjustment is nil if a credit of which there is no record has the reference.
	Adjustment *Adjustment
	// Made is false if the wallet was not changed: it waits for approval, or was booked before.
	Made bool
	// Asked is true if it is pending since this call.
	Asked bool
}

// Adjust books an adjustment, or stores it until another operator approves it. The same reference
// has an effect once. It returns what operator.Credit does, INVALID_REQUEST without a reason if an
// approval is needed, or LIMIT_REACHED.
func (s *Service) Adjust(ctx context.Context, tx *db.Tx, q Request, by By) (Result, error) {
	faults := append(q.credit().Check(tx.Now),
		apierr.CheckText("reason", q.Reason, maxReason)...)
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Result{}, err
	}
	above, err := s.lock(ctx, tx, q.Account)
	if err != nil {
		return Result{}, err
	}
	if q.Reference != "" {
		k, found, err := byReference(ctx, tx, q.Reference)
		if err != nil {
			return Result{}, err
		}
		if found {
			return s.repeated(ctx, tx, q, k)
		}
	}
	needed, err := s.needsApproval(ctx, tx, q.Account, q.Amount, above)
	if err != nil {
		return Result{}, err
	}
	r := s.newRow(tx, q, by)
	if needed {
		if by.User == "" && by.Type == creator.APIKey {
			return Result{}, apierr.New(apierr.Conflict, "More than %s for an account within 24 hours needs the "+
				"approval of another operator, and it is not known who uses this API key. Ask for it in the dashboard.",
				above)
		}
		return s.ask(ctx, tx, r, above)
	}
	a, made, err := s.cfg.Operator.Credit(ctx, tx, q.Account, q.credit())
	if err != nil || !made {
		return Result{Account: a}, err
	}
	v := r.view()
	return Result{Account: a, Adjustment: &v, Made: true}, insert(ctx, tx, r)
}

// lock locks the account, and returns the amount above which an approval is needed; 0 for none.
func (s *Service) lock(ctx context.Context, tx *db.Tx, of id.ID) (above money.Micros, err error) {
	err = account.Enter(ctx, tx, of)
	if e, ok := errors.AsType[*apierr.Error](err); err != nil && (!ok || e.Code != apierr.AccountSuspended) {
		return 0, err
	}
	set, err := s.cfg.Settings.Peek(ctx, tx)
	return set.Wallet.ApprovalAbove, err
}

// needsApproval reports whether the amount, with what was booked without approval in the last day,
// is above the one that needs none.
func (s *Service) needsApproval(
	ctx context.Context, tx *db.Tx, of id.ID, amount, above money.Micros,
) (bool, error) {
	if above == 0 {
		return false, nil
	}
	booked, err := bookedSince(ctx, tx, of, tx.Now.Add(-together))
	return booked+max(amount, -amount) > above, err
}

func (s *Service) newRow(tx *db.Tx, q Request, by By) row {
	return row{Adjustment: Adjustment{
		ID: s.cfg.IDs.New(id.Adjustment), Account: q.Account, State: Booked, Amount: q.Amount, Note: q.Note,
		Reference: q.Reference, Reason: q.Reason, CreditExpiresAt: q.CreditExpiresAt, CreatedBy: by.Creator,
		CreatedAt: tx.Now,
	}, asker: by.User}
}

// repeated answers a request whose reference an adjustment has.
func (s *Service) repeated(ctx context.Context, tx *db.Tx, q Request, k row) (Result, error) {
	if k.Account != q.Account || k.Amount != q.Amount || !sameTime(k.CreditExpiresAt, q.CreditExpiresAt) {
		return Result{}, apierr.New(apierr.Conflict,
			"The reference %q belongs to another adjustment, %s. Use another reference.", q.Reference, k.ID)
	}
	v, out := k.view(), Result{}
	var err error
	if k.State == Pending {
		out.Account, err = s.cfg.Operator.Account(ctx, tx, q.Account)
	} else { // finds the booked one
		out.Account, _, err = s.cfg.Operator.Credit(ctx, tx, q.Account, q.credit())
	}
	out.Adjustment = &v
	return out, err
}

// sameTime compares expiries as the database has them.
func sameTime(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
}

// ask stores an adjustment that needs an approval.
func (s *Service) ask(ctx context.Context, tx *db.Tx, r row, above money.Micros) (Result, error) {
	a, err := s.cfg.Operator.Account(ctx, tx, r.Account) // NOT_FOUND
	if err != nil {
		return Result{}, err
	}
	if r.Reason == "" {
		return Result{}, apierr.Invalid([]apierr.FieldError{{Field: "reason", Message: fmt.Sprintf(
			"is required: more than %s for an account within 24 hours needs the approval of another operator, who "+
				"reads it.", above)}})
	}
	n, err := countPending(ctx, tx, r.Account)
	if err == nil && n >= maxPending {
		err = apierr.New(apierr.LimitReached, "An account can have %d pending adjustments. Have one of them approved "+
			"or rejected, or withdraw one.", maxPending)
	}
	if err != nil {
		return Result{}, err
	}
	r.State, r.ExpiresAt = Pending, new(tx.Now.Add(PendingFor))
	if err := insert(ctx, tx, r); err != nil {
		return Result{}, err
	}
	v := r.view()
	return Result{Account: a, Adjustment: &v, Asked: true},
		s.cfg.Jobs.Enqueue(ctx, tx, r.Account, KindExpire, r.ID, *r.ExpiresAt)
}

// Open creates an account as operator.CreateAccount does, and counts its credit. It returns
// INVALID_REQUEST for a credit that needs an approval: the account exists before.
func (s *Service) Open(
	ctx context.Context, tx *db.Tx, name string, credit money.Micros, by By,
) (operator.Account, error) {
	set, err := s.cfg.Settings.Peek(ctx, tx)
	if err != nil {
		return operator.Account{}, err
	}
	if above := set.Wallet.ApprovalAbove; above > 0 && credit > above {
		return operator.Account{}, apierr.Invalid([]apierr.FieldError{{Field: "credit", Message: fmt.Sprintf(
			"must be at most %s: more needs the approval of another operator. Create the account without credit, and "+
				"add it then.", above)}})
	}
	a, err := s.cfg.Operator.CreateAccount(ctx, tx, name, credit)
	if err != nil || credit == 0 {
		return a, err
	}
	return a, insert(ctx, tx, s.newRow(tx, Request{Account: a.ID, Amount: credit, Note: "Opening credit"}, by))
}

var errNotFound = apierr.New(apierr.NotFound, "No adjustment has this id. List them with GET /operator/adjustments.")

// pending returns a pending adjustment with its account and itself locked, or NOT_FOUND or
// CONFLICT.
func (s *Service) pending(ctx context.Context, tx *db.Tx, of id.ID) (row, error) {
	r, found, err := peek(ctx, tx, of)
	if err == nil && !found {
		err = errNotFound
	}
	if err != nil {
		return r, err
	}
	if _, err := s.lock(ctx, tx, r.Account); err != nil {
		return r, err
	}
	if r, _, err = find(ctx, tx, of); err != nil {
		return r, err
	}
	switch {
	case r.State != Pending:
		return r, apierr.New(apierr.Conflict, "The adjustment is %s. Only a pending one can be decided about.", r.State)
	case !tx.Now.Before(*r.ExpiresAt):
		return r, apierr.New(apierr.Conflict, "The adjustment has expired. Ask for it again.")
	}
	return r, nil
}

// checkSecond returns CONFLICT unless the decision is by another user than the request.
func (r row) checkSecond(by By) error {
	switch {
	case by.User == "":
		return apierr.New(apierr.Conflict, "An adjustment is decided about by a signed-in operator. "+
			"Sign in to the dashboard.")
	case by.User == r.asker:
		return apierr.New(apierr.Conflict,
			"You have asked for this adjustment, so another operator decides about it. You can withdraw it.")
	}
	return nil
}

// Approve books a pending adjustment. It returns NOT_FOUND, INVALID_REQUEST, or CONFLICT if it is
// not pending, the same user asked for it, or it can no longer be booked.
func (s *Service) Approve(ctx context.Context, tx *db.Tx, of id.ID, comment string, by By) (Adjustment, error) {
	r, err := s.decision(ctx, tx, of, comment, by)
	if err != nil {
		return Adjustment{}, err
	}
	reference := r.Reference
	if reference == "" {
		reference = string(r.ID)
	}
	if at := r.CreditExpiresAt; at != nil && !at.After(tx.Now) {
		return Adjustment{}, apierr.New(apierr.Conflict, "The credit would have expired meanwhile. Reject this one.")
	}
	_, made, err := s.cfg.Operator.Credit(ctx, tx, r.Account, operator.Credit{
		Amount: r.Amount, Note: r.Note, Reference: reference, ExpiresAt: r.CreditExpiresAt,
	})
	if err == nil && !made {
		err = apierr.New(apierr.Conflict, "A credit with the reference %q was booked meanwhile. Reject this one.",
			reference)
	}
	if err != nil {
		return Adjustment{}, err
	}
	return s.close(ctx, tx, r, Approved, comment, by)
}

// Reject ends a pending adjustment. It returns what Approve does.
func (s *Service) Reject(ctx context.Context, tx *db.Tx, of id.ID, comment string, by By) (Adjustment, error) {
	r, err := s.decision(ctx, tx, of, comment, by)
	if err != nil {
		return Adjustment{}, err
	}
	return s.close(ctx, tx, r, Rejected, comment, by)
}

// decision returns a pending adjustment that by may decide about.
func (s *Service) decision(ctx context.Context, tx *db.Tx, of id.ID, comment string, by By) (row, error) {
	if err := apierr.Invalid(apierr.CheckText("comment", comment, maxReason)).OrNil(); err != nil {
		return row{}, err
	}
	r, err := s.pending(ctx, tx, of)
	if err == nil {
		err = r.checkSecond(by)
	}
	return r, err
}

// Withdraw ends a pending adjustment of who asked for it. It returns NOT_FOUND or CONFLICT.
func (s *Service) Withdraw(ctx context.Context, tx *db.Tx, of id.ID, by By) (Adjustment, error) {
	r, err := s.pending(ctx, tx, of)
	if err != nil {
		return Adjustment{}, err
	}
	same := by.User != "" && by.User == r.asker ||
		r.asker == "" && by.Type == r.CreatedBy.Type && by.ID == r.CreatedBy.ID
	if !same {
		return Adjustment{}, apierr.New(apierr.Conflict,
			"Only who asked for the adjustment can withdraw it. Reject it instead.")
	}
	return s.close(ctx, tx, r, Withdrawn, "", by)
}

func (s *Service) close(
	ctx context.Context, tx *db.Tx, r row, state State, comment string, by By,
) (Adjustment, error) {
	r.State, r.Comment, r.decidedBy, r.decider, r.DecidedAt = state, comment, by, by.User, &tx.Now
	return r.view(), decide(ctx, tx, r)
}

// Expire is the handler of KindExpire.
func (s *Service) Expire(ctx context.Context, of id.ID) (job.Outcome, error) {
	return job.Done(), s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, found, err := find(ctx, tx, of)
		if err != nil || !found || r.State != Pending {
			return err
		}
		r.State, r.DecidedAt = Expired, &tx.Now
		return decide(ctx, tx, r)
	})
}

// List returns a page of the adjustments, newest first: of one account, or of all for ""; in one
// state, or in any for "".
func (s *Service) List(
	ctx context.Context, r db.Reader, of id.ID, state State, p db.Page,
) ([]Adjustment, db.Listed, error) {
	rows, listed, err := list(ctx, r, of, state, p)
	out := make([]Adjustment, len(rows))
	for i, a := range rows {
		out[i] = a.view()
	}
	return out, listed, err
}
