package servicecredit

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/wallet"
)

const (
	// maxLength is the longest time of a service credit.
	maxLength = 31 * 24 * time.Hour
	// maxOfDeployment is how many service credits a deployment can have before an operator can
	// enter no more.
	maxOfDeployment = 400
	// maxText is the most characters of a note or reason.
	maxText = 200
)

// State is where a service credit is.
type State string

// The states. Approved and rejected are final.
const (
	Proposed State = "proposed"
	Approved State = "approved"
	Rejected State = "rejected"
)

// Enum lists every state.
func (State) Enum() []State { return []State{Proposed, Approved, Rejected} }

// Cause is why something is owed.
type Cause string

// The causes. All but GPUsFailed are measured.
const (
	MachineLost      Cause = "machine_lost"
	MachineUnhealthy Cause = "machine_unhealthy"
	MachineOff       Cause = "machine_off"
	GPUsFailed       Cause = "gpus_failed"
)

// Enum lists every cause.
func (Cause) Enum() []Cause { return []Cause{MachineLost, MachineUnhealthy, MachineOff, GPUsFailed} }

// text describes the cause.
func (c ServiceCredit) text() string {
	switch c.Cause {
	case MachineLost:
		return "machine lost"
	case MachineUnhealthy:
		return "machine unhealthy"
	case MachineOff:
		return "machine off"
	default:
		return fmt.Sprintf("%d of %d GPUs failed", c.FailedGPUs, c.GPUs)
	}
}

// ServiceCredit is a service credit as its account sees it.
type ServiceCredit struct {
	ID             id.ID        `json:"id" doc:"Id of the service credit, svc_…"`
	DeploymentID   id.ID        `json:"deploymentId" doc:"Deployment whose machine did not work."`
	DeploymentName string       `json:"deploymentName" doc:"Name of the deployment at that time."`
	Cause          Cause        `json:"cause" doc:"machine_lost: the provider lost the machine. machine_unhealthy: the provider reported it as broken. machine_off: it was off without a request of the tenant. gpus_failed: some of its GPUs did not work, or all of them."`
	From           time.Time    `json:"from" doc:"Beginning of the time that is credited."`
	To             time.Time    `json:"to" doc:"End of the time that is credited."`
	FailedGPUs     int64        `json:"failedGpus" doc:"GPUs that did not work."`
	GPUs           int64        `json:"gpus" doc:"GPUs of the machine."`
	HourlyPrice    money.Micros `json:"hourlyPrice" doc:"US dollars per hour of the deployment."`
	FactorPercent  int64        `json:"factorPercent" doc:"Part of the price of that time that is credited, in percent."`
	Formula        string       `json:"formula" doc:"How the amount is computed, in numbers. An hour is never credited with more than it cost, and no time twice."`
	Amount         money.Micros `json:"amount" doc:"Credited US dollars; before a decision, the proposed ones."`
	Note           string       `json:"note" doc:"Note of the operator; empty for none."`
	// CreditedAt is nil while it is not booked.
	CreditedAt *time.Time `json:"creditedAt" doc:"When the amount was added to the balance; null before."`
}

// OperatorServiceCredit is a service credit as the operator sees it.
type OperatorServiceCredit struct {
	ServiceCredit
	AccountID id.ID `json:"accountId" doc:"Account, acc_…"`
	State     State `json:"state" doc:"proposed: an operator is to decide. approved: it was credited. rejected: it was not."`
	// SeenAt is nil for one that an operator entered.
	SeenAt    *time.Time `json:"seenAt" doc:"When Billet first saw that the machine did not work; from is when it was last seen to work. null for one that an operator entered."`
	Automatic bool       `json:"automatic" doc:"Whether it was credited without a review."`
	Reason    string     `json:"reason" doc:"Reason of a rejection; else empty."`
	CreatedAt time.Time  `json:"createdAt" doc:"When it was proposed."`
	// DecidedAt is nil before.
	DecidedAt *time.Time `json:"decidedAt" doc:"When it was approved or rejected; null before."`
	EnteredBy string     `json:"enteredBy" doc:"Name of the operator who entered it, at that time; empty for a measured one."`
	DecidedBy string     `json:"decidedBy" doc:"Name of the operator who approved or rejected it, at that time; empty before, and if it was credited without a review."`
	// decider and enterer are the users; "" for none that is known.
	decider, enterer id.ID
}

// By is an operator who enters a service credit, or decides about one.
type By struct {
	// User is "" if it is not known, as on the server's host.
	User id.ID
	Name string
}

// Host is who runs a command on the server's host.
var Host = By{Name: "operator on the server's host"}

// ServiceCreditDetail is a service credit with its hours.
type ServiceCreditDetail struct {
	OperatorServiceCredit
	Hours []CreditedHour `json:"hours" doc:"Charged hours that it covers, in order. Those of a proposal are as they were when it was made."`
}

// formula writes the formula with the credit's numbers.
func (c ServiceCredit) formula() string {
	return fmt.Sprintf("%d s ÷ 3600 × %s × %d of %d GPUs × %d%%, at most what is left of what these hours cost",
		int64(c.To.Sub(c.From)/time.Second), c.HourlyPrice, c.FailedGPUs, c.GPUs, c.FactorPercent)
}

// description is what the statement says.
func (c ServiceCredit) description() string {
	const form = "2006-01-02 15:04:05"
	return fmt.Sprintf("Service credit for %s (%s): %s from %s to %s UTC", c.DeploymentName, c.DeploymentID, c.text(),
		c.From.UTC().Format(form), c.To.UTC().Format(form))
}

func (c ServiceCredit) claim() Claim { return Claim{c.From, c.To, c.FailedGPUs, c.GPUs} }

// Config is what a Service needs. Every field is required.
type Config struct {
	DB       *db.DB
	IDs      *id.Maker
	Wallet   *wallet.Ledger
	Meter    *meter.Service
	Events   *event.Service
	Settings *settings.Service
}

// Service proposes and books service credits. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Wallet == nil || cfg.Meter == nil || cfg.Events == nil ||
		cfg.Settings == nil {
		panic("servicecredit: New needs every field of its Config")
	}
	return &Service{cfg}
}

var (
	errNone = apierr.New(apierr.NotFound, "No service credit has this id.")
	// errNothing is returned where the formula gives 0.
	errNothing = apierr.New(apierr.Conflict, "Nothing is left to credit for this time: it was not charged, it was "+
		"refunded, or it is credited already.")
)

// work computes what a credit of the deployment comes to now. The wallet must be locked.
func (s *Service) work(
	ctx context.Context, tx *db.Tx, of deployment.Billed, c ServiceCredit,
) ([]CreditedHour, money.Micros, error) {
	if of.StartedAt == nil {
		return nil, 0, nil
	}
	number := func(t time.Time) int64 { return int64(t.Sub(*of.StartedAt) / wallet.HourLength) }
	charged, err := s.cfg.Wallet.SubjectHours(ctx, tx, of.ID, number(c.From), number(c.To))
	if err != nil || len(charged) == 0 {
		return nil, 0, err
	}
	booked, err := bookedClaims(ctx, tx, of.ID)
	if err != nil {
		return nil, 0, err
	}
	before, err := creditedBefore(ctx, tx, of.ID, number(c.From)+1, number(c.To)+1)
	if err != nil {
		return nil, 0, err
	}
	hours := make([]CreditedHour, len(charged))
	for i, h := range charged {
		hours[i] = CreditedHour{
			Hour: h.Hour + 1, From: h.From, HourlyPrice: h.HourlyPrice, Charged: h.Amount, Refunded: h.Refunded,
			CreditedBefore: before[h.Hour+1],
		}
	}
	claim := c.claim()
	claim.To = earlier(claim.To, billedEnd(of, tx.Now))
	out, sum := decide(hours, booked, claim, c.FactorPercent, notAfterEnd(of, tx.Now))
	return out, sum, nil
}

// add writes a proposal, unless the same downtime has one, or nothing is owed.
func (s *Service) add(
	ctx context.Context, tx *db.Tx, of deployment.Billed, c OperatorServiceCredit,
) (made OperatorServiceCredit, hours []CreditedHour, err error) {
	c.ID, c.State, c.CreatedAt = s.cfg.IDs.New(id.ServiceCredit), Proposed, tx.Now
	c.AccountID, c.DeploymentID, c.DeploymentName = of.Account, of.ID, of.Name
	c.GPUs = int64(of.GPUCount)
	if hours, c.Amount, err = s.work(ctx, tx, of, c.ServiceCredit); err != nil || c.Amount == 0 {
		return OperatorServiceCredit{}, nil, err
	}
	c.HourlyPrice = hours[0].HourlyPrice
	fresh, err := insert(ctx, tx, c)
	if err != nil || !fresh {
		return OperatorServiceCredit{}, nil, err
	}
	return c, hours, putHours(ctx, tx, c.ID, hours)
}

// book adds the money of a proposal to the wallet, and tells the account.
func (s *Service) book(ctx context.Context, tx *db.Tx, c OperatorServiceCredit) (OperatorServiceCredit, error) {
	c.State, c.DecidedAt, c.CreditedAt = Approved, &tx.Now, &tx.Now
	changed, err := decided(ctx, tx, c)
	if err == nil && !changed {
		err = fmt.Errorf("servicecredit: %s was decided although its wallet is locked", c.ID)
	}
	if err != nil {
		return c, err
	}
	_, err = s.cfg.Wallet.Credit(ctx, tx, wallet.Credit{
		Account: c.AccountID, Type: wallet.TypeCredit, Amount: c.Amount, Description: c.description(),
		Dedupe: "service-credit/" + string(c.ID),
	})
	if err != nil {
		return c, err
	}
	crashpoint.Reach(crashpoint.ServiceCreditBeforeCommit)
	tx.AfterCommit(func() { crashpoint.Reach(crashpoint.ServiceCreditAfterCommit) })
	return c, s.cfg.Events.Append(ctx, tx, event.Event{
		Account: c.AccountID, Subject: c.AccountID, Type: "account.service_credit", Data: map[string]any{
			"serviceCreditId": c.ID, "deploymentId": c.DeploymentID, "name": c.DeploymentName, "cause": c.Cause,
			"from": c.From, "to": c.To, "amount": c.Amount, "description": c.description(), "note": c.Note,
		},
	})
}

// Approve books a proposal and returns it. Approving it again changes nothing. If less is left to
// credit than was proposed, that is booked.
// It returns NOT_FOUND, or CONFLICT if it was rejected, another operator must approve it, or
// nothing is left.
func (s *Service) Approve(
	ctx context.Context, tx *db.Tx, credit id.ID, by By,
) (c OperatorServiceCredit, changed bool, err error) {
	c, of, err := s.lock(ctx, tx, credit)
	if err != nil || c.State == Approved {
		return c, false, err
	}
	if c.State == Rejected {
		return c, false, apierr.New(apierr.Conflict,
			"The service credit was rejected. Enter a new one to credit the time.")
	}
	set, err := s.cfg.Settings.Peek(ctx, tx)
	if err == nil {
		err = s.checkSecond(ctx, tx, c, set.Wallet.ApprovalAbove, by.User)
	}
	if err != nil {
		return c, false, err
	}
	hours, _, err := s.work(ctx, tx, of, c.ServiceCredit)
	if err != nil {
		return c, false, err
	}
	if hours, c.Amount = limited(hours, c.Amount); c.Amount == 0 {
		return c, false, errNothing
	}
	if err := putHours(ctx, tx, c.ID, hours); err != nil {
		return c, false, err
	}
	c.DecidedBy, c.decider = by.Name, by.User
	c, err = s.book(ctx, tx, c)
	return c.shown(), true, err
}

// together is how long what an operator entered and approved alone counts.
const together = 24 * time.Hour

// checkSecond returns CONFLICT if an operator entered the service credit, its amount is above what
// an operator may add alone within 24 hours, and by is the same user or "". above is 0 for no
// limit. The account's wallet must be locked.
func (s *Service) checkSecond(
	ctx context.Context, tx *db.Tx, c OperatorServiceCredit, above money.Micros, by id.ID,
) error {
	if c.SeenAt != nil || above == 0 || by != "" && by != c.enterer {
		return nil
	}
	alone, err := bookedAlone(ctx, tx, c.AccountID, tx.Now.Add(-together))
	switch {
	case err != nil || alone+c.Amount <= above:
		return err
	case by == "":
		return apierr.New(apierr.Conflict, "The service credits that operators enter for the account are above %s "+
			"within 24 hours. Then signed-in operators enter and approve them: commands on the server's host, and "+
			"API keys that were made there, do not say who uses them.", above)
	default:
		return apierr.New(apierr.Conflict, "You have entered this service credit, and those of the account are above "+
			"%s within 24 hours, so another operator approves it. You can reject it.", above)
	}
}

// Reject closes a proposal without a credit. Rejecting it again changes nothing. It returns
// INVALID_REQUEST, NOT_FOUND, or CONFLICT if it was approved.
func (s *Service) Reject(
	ctx context.Context, tx *db.Tx, credit id.ID, reason string, by By,
) (c OperatorServiceCredit, changed bool, err error) {
	faults := apierr.CheckText("reason", reason, maxText)
	if reason == "" {
		faults = append(faults, apierr.FieldError{Field: "reason", Message: "is required."})
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return c, false, err
	}
	c, _, err = s.lock(ctx, tx, credit)
	switch {
	case err != nil || c.State == Rejected:
		return c, false, err
	case c.State == Approved:
		return c, false, apierr.New(apierr.Conflict,
			"The service credit was approved, and its money is in the wallet. Correct it with an adjustment.")
	}
	c.State, c.Reason, c.DecidedAt = Rejected, reason, &tx.Now
	c.DecidedBy, c.decider = by.Name, by.User
	_, err = decided(ctx, tx, c)
	return c.shown(), true, err
}

// lock locks the deployment, the wallet and the service credit, in that order.
func (s *Service) lock(ctx context.Context, tx *db.Tx, credit id.ID) (OperatorServiceCredit, deployment.Billed, error) {
	var of deployment.Billed
	c, found, err := find(ctx, tx, credit)
	if err == nil && !found {
		err = errNone
	}
	if err != nil {
		return c, of, err
	}
	if of, found, err = deployment.FindBilled(ctx, tx, c.DeploymentID); err != nil || !found {
		return c, of, orNone(err)
	}
	if _, err := s.cfg.Wallet.Lock(ctx, tx, c.AccountID); err != nil {
		return c, of, err
	}
	c, _, err = find(ctx, tx, credit) // as it is now
	return c, of, err
}

func orNone(err error) error {
	if err == nil {
		err = errNone
	}
	return err
}
