package issue

import (
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// Kind is what is wrong.
type Kind string

// The kinds.
const (
	// OrphanedMachine has a reference of the form of a deployment id, but no such deployment
	// exists.
	OrphanedMachine Kind = "orphaned_machine"
	// UndeadMachine still exists although its end was confirmed. It is ended again.
	UndeadMachine Kind = "undead_machine"
	// DuplicateMachine is a second machine under the reference of a deployment that has one.
	DuplicateMachine Kind = "duplicate_machine"
	// UnmanagedMachine has no Billet reference.
	UnmanagedMachine Kind = "unmanaged_machine"
	// LostMachine is the machine of a running deployment that the provider no longer knows.
	LostMachine Kind = "lost_machine"
	// StuckTermination is a machine whose end the provider has not confirmed for over an hour.
	StuckTermination Kind = "stuck_termination"
	// FailedGPUs is a machine whose GPUs failed a check.
	FailedGPUs Kind = "failed_gpus"
	// RefusingBMC is the BMC of one of the operator's servers that refuses Billet's password, or
	// shows another certificate.
	RefusingBMC Kind = "refusing_bmc"
	// OrphanedVolume is a volume that no account has.
	OrphanedVolume Kind = "orphaned_volume"
	// PriceMismatch is a machine whose stated price differs from its offer's.
	PriceMismatch Kind = "price_mismatch"
	// PrivateAddress is a machine whose address is not on the Internet, at a provider where it must
	// be.
	PrivateAddress Kind = "private_address"
	// ChangedLedger is a row of the ledger that was changed, removed or added after it was written.
	// Its provider is LedgerSource.
	ChangedLedger Kind = "changed_ledger"
	// PaymentMismatch is a payment whose money is not the one that was credited, or a refund that
	// failed or does not end.
	PaymentMismatch Kind = "payment_mismatch"
	// PaymentDispute is a payment that the payer's bank asks back.
	PaymentDispute Kind = "payment_dispute"
	// InvoiceDifference is an invoice whose closing balance is not that of the ledger, because a
	// transaction was recorded later with a time before its end. Its provider is LedgerSource.
	InvoiceDifference Kind = "invoice_difference"
	// MissingExchangeRate is a currency in which invoices that are due state their tax, and that
	// has no exchange rate for them. Its provider is LedgerSource.
	MissingExchangeRate Kind = "missing_exchange_rate"
)

// LedgerSource is in the place of a provider in issues about the ledger.
const LedgerSource = "ledger"

// Kinds lists every kind.
var Kinds = append(append([]Kind{}, MachineKinds...), FailedGPUs, RefusingBMC, OrphanedVolume, ChangedLedger,
	PaymentMismatch, PaymentDispute, InvoiceDifference, MissingExchangeRate)

// Enum lists every kind.
func (Kind) Enum() []Kind { return Kinds }

// MachineKinds lists the kinds of issues about machines.
var MachineKinds = []Kind{
	OrphanedMachine, UndeadMachine, DuplicateMachine, UnmanagedMachine, LostMachine, StuckTermination,
	PriceMismatch, PrivateAddress,
}

// Orphans lists the kinds of issues about what only Billet would terminate.
var Orphans = []Kind{OrphanedMachine, UndeadMachine, DuplicateMachine, OrphanedVolume}

// State is what became of an issue.
type State string

// The states.
const (
	StateOpen      State = "open"
	StateEnded     State = "ended"     // Billet had the subject ended
	StateDismissed State = "dismissed" // by an operator
	StateSettled   State = "settled"   // the subject is gone, without Billet
)

// States lists every state.
var States = []State{StateOpen, StateEnded, StateDismissed, StateSettled}

// Enum lists every state.
func (State) Enum() []State { return States }

// KindEnd is the job that ends the subject of one issue, which is the job's subject.
const KindEnd job.Kind = "issue-removal"

// jobOwner is the account of these jobs: all issues take turns with the accounts as one.
const jobOwner id.ID = "issues"

const (
	// BreakerLimit is how many orphaned machines may be open at one provider for the policy to end
	// them.
	BreakerLimit = 5
	// DefaultGrace is how long an orphaned machine is left alone.
	DefaultGrace = time.Hour
	// settleAfter is how long no list may have shown an issue for it to close, in the server's
	// time.
	settleAfter = 5 * time.Minute
	// maxNote is how long an operator's note may be, in characters.
	maxNote = 500
)

// Policy is what is ended without an operator.
type Policy struct {
	// EndOrphans has orphaned machines ended, Grace after they were first seen.
	EndOrphans bool
	Grace      time.Duration
}

// Issue is something that an operator must see.
type Issue struct {
	ID           id.ID      `json:"id" doc:"Id of the issue, iss_…."`
	Kind         Kind       `json:"kind" doc:"Kind of the issue."`
	Provider     string     `json:"provider" doc:"Slug of the provider; ledger for an issue about the ledger."`
	UpstreamID   *string    `json:"upstreamId" doc:"Provider's own id of the machine or volume, or the row of the ledger; null if unknown."`
	Reference    *string    `json:"reference" doc:"Billet reference of the machine or volume, as the provider reports it; null if it has none."`
	DeploymentID *id.ID     `json:"deploymentId" doc:"Id of its deployment; null if there is none."`
	VolumeID     *id.ID     `json:"volumeId" doc:"Id of its volume; null if there is none."`
	Detail       string     `json:"detail" doc:"Description of the issue."`
	State        State      `json:"state" doc:"open until the issue is dismissed or its subject is gone: ended if Billet ended it, settled otherwise."`
	Endable      bool       `json:"endable" doc:"Whether Billet can end the machine or volume. It never ends what may belong to another system or share a reference with a deployment's machine."`
	FirstSeenAt  time.Time  `json:"firstSeenAt" doc:"When the issue was first seen."`
	LastSeenAt   time.Time  `json:"lastSeenAt" doc:"When the issue was last seen."`
	EndAfter     *time.Time `json:"endAfter" doc:"When the policy ends it; null if it does not."`
	Held         bool       `json:"held" doc:"Whether the policy is suspended for this issue because too many were open at this provider at once."`
	EndingSince  *time.Time `json:"endingSince" doc:"Since when the provider is asked to end it; null if it is not."`
	ClosedAt     *time.Time `json:"closedAt" doc:"When its subject was gone; null before."`
	Problem      *string    `json:"problem" doc:"Provider's last error while ending it; null if there is none."`
	Note         *string    `json:"note" doc:"Operator's note."`
}

// Sighting is something that a watch found.
type Sighting struct {
	Kind       Kind
	UpstreamID string
	Reference  id.ID
	// Deployment and Volume are what it belongs or belonged to, or "".
	Deployment, Volume id.ID
	Detail             string
	// Endable means that Terminate or DeleteVolume with the reference ends this and nothing else.
	Endable bool
	// Known keeps an existing issue from closing, and creates none.
	Known bool
}

// subject is what the issue is unique by: the reference, unless several things may have it, or
// none.
func (o Sighting) subject() string {
	if o.Kind == PaymentMismatch || o.Kind == PaymentDispute || o.Kind == InvoiceDifference {
		return Plain(string(o.Reference) + " " + o.UpstreamID)
	}
	foreign := o.Kind == UnmanagedMachine || o.Kind == OrphanedVolume && !o.Reference.Valid(id.Volume)
	if foreign || o.Kind == DuplicateMachine || o.Kind == ChangedLedger || o.Kind == MissingExchangeRate {
		return Plain(o.UpstreamID)
	}
	return Plain(string(o.Reference))
}

// Plain returns a text of a provider's or an operator's, limited in length, in UTF-8 and without
// control characters, which a database or a terminal may not take.
func Plain(s string) string { return provider.Plain(s, maxNote) }
