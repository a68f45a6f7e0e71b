package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable is the environment variable that arms one point: "charge.before-commit" for the first
// time that it is reached, "charge.before-commit:3" for the third.
const Variable = "BILLET_CRASH_AT"

// The points. "commit" is that of the point's change, "call" that to the provider, or to a tenant's
// endpoint.
const (
	CreateBeforeCommit = "create.before-commit" // the hold, the row and the job are written
	CreateAfterCommit  = "create.after-commit"  // and committed; the request is not answered

	LaunchBeforeCall = "launch.before-call" // the intent is committed
	LaunchAfterCall  = "launch.after-call"  // there is a machine that only the provider knows

	RunningBeforeCommit = "running.before-commit" // the hold has become the first hour's charge
	RunningAfterCommit  = "running.after-commit"

	ChargeBeforeCommit = "charge.before-commit" // the sweep has booked hours
	ChargeAfterCommit  = "charge.after-commit"

	TerminateAfterCommit = "terminate.after-commit" // billing has ended; the request is not answered
	TerminateBeforeCall  = "terminate.before-call"
	TerminateAfterCall   = "terminate.after-call"
	// the provider has no machine any more; we say terminating
	TerminateBeforeConfirming = "terminate.before-confirming"

	AttachBeforeCall = "attach.before-call"
	AttachAfterCall  = "attach.after-call" // the machine has the volume; we say attaching
	DetachBeforeCall = "detach.before-call"
	DetachAfterCall  = "detach.after-call" // no machine has the volume; we say detaching

	// a request with an Idempotency-Key had its effect; its answer is not kept yet
	ReplayBeforeFinish = "replay.before-finish"
	ReplayAfterCommit  = "replay.after-commit" // it is, and the request is not answered

	WebhookAfterCall = "webhook.after-call" // the tenant's address has answered; it is not written down

	MailAfterCall = "mail.after-call" // the mail server has taken the mail; it is not written down

	TopUpBeforeCall     = "top-up.before-call"      // the top-up is committed; it has no page
	TopUpAfterCall      = "top-up.after-call"       // the processor has the page; it is not written down
	TopUpBeforeCommit   = "top-up.before-commit"    // the payment's money is in the wallet
	TopUpAfterCommit    = "top-up.after-commit"     // and committed; the caller is not answered
	AutoTopUpBeforeCall = "auto-top-up.before-call" // the charge is committed as begun
	AutoTopUpAfterCall  = "auto-top-up.after-call"  // the processor has charged; it is not written down
	RefundBeforeCall    = "refund.before-call"      // the wallet's money is taken
	RefundAfterCall     = "refund.after-call"       // the processor has refunded; it is not written down

	ServiceCreditBeforeCommit = "service-credit.before-commit" // its money is in the wallet
	ServiceCreditAfterCommit  = "service-credit.after-commit"  // and committed; the caller is not answered

	RackAssignBeforeCommit   = "rack-assign.before-commit" // the deployment has the server
	RackBootBeforeCall       = "rack-boot.before-call"     // the agent's token is committed; its server is as it was
	RackBootBeforePowerOn    = "rack-boot.before-power-on" // the server is off, and has the agent's image
	RackBootAfterCall        = "rack-boot.after-call"      // the server starts; that is not written down
	RackBootAfterCommit      = "rack-boot.after-commit"
	RackClaimAfterCommit     = "rack-claim.after-commit"   // the agent has asked for its job, and is not answered
	RackReportBeforeCommit   = "rack-report.before-commit" // what the agent reports is written
	RackReportAfterCommit    = "rack-report.after-commit"  // and committed; the agent is not answered
	RackEndBeforeCall        = "rack-end.before-call"      // the agent has ended; the server still has its image
	RackEndBeforeCommit      = "rack-end.before-commit"    // what the agent did is applied
	RackEndAfterCommit       = "rack-end.after-commit"
	RackRotateBeforeCall     = "rack-rotate.before-call"   // the BMC's new password is stored; the old one is valid
	RackRotateBeforeCommit   = "rack-rotate.before-commit" // the new one is valid; that is not written down
	RackRotateAfterCommit    = "rack-rotate.after-commit"
	RackValidateBeforeCommit = "rack-validate.before-commit" // the server is for sale
	RackValidateAfterCommit  = "rack-validate.after-commit"
	RackPowerBeforeCall      = "rack-power.before-call"
	RackPowerBeforeCommit    = "rack-power.before-commit" // the server is switched; that is not written down
	RackPowerAfterCommit     = "rack-power.after-commit"
	RackReinstallAfterCommit = "rack-reinstall.after-commit"  // the server is to be erased and installed again
	RackRescueAfterCommit    = "rack-rescue.after-commit"     // the rescue system is to be started
	RackEndRescueAfterCommit = "rack-end-rescue.after-commit" // the server is to start from its drive
	RackReturnAfterCommit    = "rack-return.after-commit"     // the server is to be erased; it still runs
	RackCutBeforeCall        = "rack-cut.before-call"
	RackCutBeforeCommit      = "rack-cut.before-commit" // the server is off; its deployment still has it
	RackCutAfterCommit       = "rack-cut.after-commit"

	HealthAfterCheck   = "health.after-check"   // the machine has answered; the verdict is not written
	HealthBeforeCommit = "health.before-commit" // the verdict on the GPUs is written
	HealthAfterCommit  = "health.after-commit"  // and committed; nothing has followed from it
	HealthAfterRemoval = "health.after-removal" // the machine refuses the check's key; we still have it

	// points of the command that replaces the secret key; the server runs meanwhile
	KeyAfterAdd        = "secret-key.after-add" // the key file has the new key, which seals nothing yet
	KeyAfterUse        = "secret-key.after-use" // it seals
	ResealBeforeCommit = "secret-key.reseal-before-commit"
	ResealAfterCommit  = "secret-key.reseal-after-commit" // some texts are sealed with it
	KeyBeforeRemoval   = "secret-key.before-removal"      // the database does not need the former key; its file has it

	JobBeforeFinish = "job.before-finish" // a job's handler has returned; the job is still there
)

// All lists every point.
var All = []string{
	CreateBeforeCommit, CreateAfterCommit, LaunchBeforeCall, LaunchAfterCall, RunningBeforeCommit, RunningAfterCommit,
	ChargeBeforeCommit, ChargeAfterCommit,
	TerminateAfterCommit, TerminateBeforeCall, TerminateAfterCall, TerminateBeforeConfirming,
	AttachBeforeCall, AttachAfterCall, DetachBeforeCall, DetachAfterCall,
	ReplayBeforeFinish, ReplayAfterCommit, WebhookAfterCall, MailAfterCall,
	TopUpBeforeCall, TopUpAfterCall, TopUpBeforeCommit, TopUpAfterCommit, AutoTopUpBeforeCall, AutoTopUpAfterCall,
	RefundBeforeCall, RefundAfterCall, ServiceCreditBeforeCommit, ServiceCreditAfterCommit,
	RackAssignBeforeCommit, RackBootBeforeCall, RackBootBeforePowerOn, RackBootAfterCall, RackBootAfterCommit,
	RackClaimAfterCommit, RackReportBeforeCommit, RackReportAfterCommit,
	RackEndBeforeCall, RackEndBeforeCommit, RackEndAfterCommit,
	RackRotateBeforeCall, RackRotateBeforeCommit, RackRotateAfterCommit,
	RackValidateBeforeCommit, RackValidateAfterCommit,
	RackPowerBeforeCall, RackPowerBeforeCommit, RackPowerAfterCommit, RackReinstallAfterCommit,
	RackRescueAfterCommit, RackEndRescueAfterCommit,
	RackReturnAfterCommit, RackCutBeforeCall, RackCutBeforeCommit, RackCutAfterCommit,
	HealthAfterCheck, HealthBeforeCommit, HealthAfterCommit, HealthAfterRemoval,
	KeyAfterAdd, KeyAfterUse, ResealBeforeCommit, ResealAfterCommit, KeyBeforeRemoval, JobBeforeFinish,
}

// armed is the point at which this process ends, and how often it must be reached.
type armed struct {
	name string
	left atomic.Int64
}

var at atomic.Pointer[armed]

func init() {
	a, err := parse(os.Getenv(Variable))
	if err != nil { // a suite whose crash never comes would prove nothing
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	at.Store(a)
}

// parse returns nil for "".
func parse(s string) (*armed, error) {
	if s == "" {
		return nil, nil
	}
	name, count, counted := strings.Cut(s, ":")
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(count, 10, 64); err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q must be a count of at least 1", Variable, count)
		}
	}
	known := false
	for _, k := range All {
		known = known || k == name
	}
	if !known {
		return nil, fmt.Errorf("%s: unknown point %q; the points are: %s", Variable, name, strings.Join(All, ", "))
	}
	a := &armed{name: name}
	a.left.Store(n)
	return a, nil
}

// Reach marks that the process is at the point. It does nothing, or never returns.
func Reach(name string) {
	if a := at.Load(); a != nil {
		a.reach(name)
	}
}

func (a *armed) reach(name string) {
	if a.name != name || a.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal has ended every thread
}
