package deployment

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

const (
	// endLimit is how long a machine may take to end before the pauses between two checks grow.
	endLimit = 10 * time.Minute
	// maxRetryAfter is the longest pause that a provider can ask for.
	maxRetryAfter = time.Hour
	// issuedGrace is how long SSH may answer with another host key than the one that the machine
	// was given, before that key is accepted.
	issuedGrace = 3 * time.Minute
	// unhealthyGrace is how long after its launch a machine that never ran may be unhealthy.
	unhealthyGrace = 10 * time.Minute
	// unopenedEvery is how soon a launch is tried again whose provider account cannot be opened
	// here. Another replica may be able to.
	unopenedEvery = 10 * time.Second
)

// What a tenant reads where the provider gave no reason of its own.
const (
	reasonNoAnswer   = "The provider didn't answer in time."
	reasonNotReady   = "The machine wasn't ready in time."
	reasonNoSSH      = "The machine was provisioned, but SSH didn't become reachable in time."
	reasonLost       = "The provider lost the machine before it was ready."
	reasonUnhealthy  = "The provider reported the machine as unhealthy before it was ready."
	reasonReclaimed  = "The provider reclaimed the machine."
	reasonNoCapacity = "The provider has no capacity left for this offer."
	reasonNoOffer    = "The provider no longer has this offer."
	reasonRejected   = "The provider rejected the launch."
	reasonNotMade    = "The provider couldn't create the machine."
	reasonBlocked    = "The provider isn't accepting new deployments right now. " +
		"Choose an offer of another provider, or try again later."
	reasonUnavailable = "The provider wasn't available in time, and nothing was launched. " +
		"Choose an offer of another provider, or try again later."
)

// decisionKind is what a run does next.
type decisionKind string

// Questions: the answer becomes part of the observation, and the run decides again.
const (
	doAskMachine decisionKind = "ask for the machine"
	doLaunch     decisionKind = "launch"
	doProbe      decisionKind = "probe SSH"
	doTerminate  decisionKind = "terminate the machine"
	doPerform    decisionKind = "perform the pending action"
	doAdopt      decisionKind = "adopt the machine" // records which machine the deployment has

	doReportRefusal decisionKind = "report a reinstallation that failed"

	doCheckHealth     decisionKind = "check the GPUs"
	doRemoveHealthKey decisionKind = "remove the key of the check"
)

// Changes: each is one transaction, and ends the run.
const (
	doBegin         decisionKind = "begin deploying"
	doProgress      decisionKind = "record progress"
	doStart         decisionKind = "start"
	doFail          decisionKind = "fail"
	doAbandon       decisionKind = "abandon the offer"
	doNextCandidate decisionKind = "try the next candidate"
	doInterrupt     decisionKind = "interrupt"
	doPower         decisionKind = "record the power state"
	doUpdateMachine decisionKind = "update the machine"
	doLearnHostKeys decisionKind = "learn the host keys"
	doEnd           decisionKind = "end"
	doConfirmEnd    decisionKind = "confirm the end"
	doRelease       decisionKind = "release"
	doRecordHealth  decisionKind = "record the verdict on the GPUs"
	doDoubtHealth   decisionKind = "record a check that has to be confirmed"
)

// Pauses: nothing is written.
const (
	doWait    decisionKind = "wait"                // until an instant
	doRetry   decisionKind = "retry with backoff"  // because of an error
	doNothing decisionKind = "nothing more to do"  // until something enqueues the job again
	doRestart decisionKind = "decide from the row" // at once
)

// decision is what a run does next, with what the applier of its kind needs.
type decision struct {
	kind    decisionKind
	cause   Cause         // of doFail, doAbandon, doPower
	reason  string        // of doFail, doAbandon, doInterrupt, doReportRefusal
	step    string        // of doProgress
	detail  string        // of doProgress
	unknown bool          // of doInterrupt: the provider does not know the machine
	at      time.Time     // of doWait; of doProgress, when to go on, if not at the next poll
	err     error         // of doRetry
	health  health.Result // of doRecordHealth and doDoubtHealth
}

// observation is what a run knows beside the row. Its pointers are nil until decide asked.
type observation struct {
	configured     bool // the deployment's provider is
	nextConfigured bool // the next candidate's provider is
	info           provider.Info
	machine        *machineAnswer
	adopted        bool
	probe          *probeAnswer
	terminate      *terminateAnswer
	health         *health.Result // of doCheckHealth
	keyRemoval     bool           // doRemoveHealthKey was tried
}

// machineAnswer is what Machine or Launch answered.
type machineAnswer struct {
	machine  provider.Machine
	err      error
	launched bool // by Launch
}

// probeAnswer is what SSH of the nodes answered.
type probeAnswer struct {
	keys []string
	err  error
}

// terminateAnswer is what Terminate answered.
type terminateAnswer struct{ err error }

func wait(at time.Time) decision { return decision{kind: doWait, at: at} }

func retry(err error) decision { return decision{kind: doRetry, err: err} }

// decide returns what to do next about a deployment. It depends on nothing but its arguments.
func decide(r *row, seen observation, now time.Time) decision {
	if end, planned := r.autoEnd(); planned && !r.ended() && !now.Before(end.at) {
		return decision{kind: doEnd} // which needs no provider, and waits for none
	}
	if !seen.configured {
		return decideWithoutProvider(r, seen, now)
	}
	switch r.status {
	case StatusPending:
		return decision{kind: doBegin}
	case StatusDeploying:
		return decideDeploying(r, seen, now)
	case StatusRunning, StatusStopped:
		return decideRunning(r, seen, now)
	case StatusTerminating:
		if gone, d := decideRemoval(r, seen, now); !gone {
			return d
		}
		return decision{kind: doConfirmEnd}
	default:
		if r.releasedAt != nil {
			return decision{kind: doNothing}
		}
		if gone, d := decideRemoval(r, seen, now); !gone {
			return d
		}
		return decision{kind: doRelease}
	}
}

// decideWithoutProvider is decide for a deployment whose provider cannot be asked: its account
// cannot be opened. A launch that may have been sent waits until it can be asked about. One that
// was never sent waits for the launch deadline only, and leaves nothing that could be ended.
func decideWithoutProvider(r *row, seen observation, now time.Time) decision {
	switch {
	case r.status.Final() && r.releasedAt != nil:
		return decision{kind: doNothing}
	case !r.neverAsked():
		return retry(fmt.Errorf("provider %s is not configured, but deployment %s uses it", r.provider, r.id))
	case r.status == StatusTerminating:
		return decision{kind: doConfirmEnd}
	case r.status.Final():
		return decision{kind: doRelease}
	}
	switch failed := r.failedAttempt(); {
	case failed != nil && len(r.plans) > 0 && seen.nextConfigured:
		return decision{kind: doNextCandidate}
	case failed != nil && len(r.plans) > 0:
		return decision{kind: doFail, cause: failed.Cause, reason: failed.Reason}
	case now.Before(r.launchBy):
		return wait(earlier(now.Add(unopenedEvery), r.launchBy))
	case r.status == StatusPending && len(r.plans) > 0:
		return decision{kind: doBegin} // offers are abandoned while deploying
	default:
		return abandon(r, CauseTimedOut, reasonUnavailable)
	}
}

// neverAsked reports whether no launch of the present offer was ever sent to its provider.
func (r *row) neverAsked() bool {
	return r.machineID == "" && r.launchAskedAt == nil && r.launchOpenAt == nil && r.startedAt == nil
}

// decideDeploying is decide for a deployment whose machine may have been launched.
func decideDeploying(r *row, seen observation, now time.Time) decision {
	if r.failedAttempt() != nil && len(r.plans) > 0 {
		return decideNextCandidate(r, seen, now)
	}
	late := !now.Before(r.launchBy)
	if seen.machine == nil {
		switch {
		case r.machineID == "" && late:
			// The server was down, or the provider never answered. A machine that is launched now
			// would be ended at once. One that a Launch without an answer made is ended by the
			// clean-up.
			return abandon(r, CauseTimedOut, reasonNoAnswer)
		case r.machineID != "" || r.unsettled(seen.info.SettleTime, now) > 0:
			return decision{kind: doAskMachine}
		default:
			return decision{kind: doLaunch}
		}
	}
	if seen.machine.err != nil {
		return decideLaunchError(r, seen, now)
	}
	if r.machineID == "" && !seen.adopted {
		return decision{kind: doAdopt}
	}
	m := seen.machine.machine
	switch {
	case m.State == provider.MachineFailed:
		return decideFailed(r, m)
	case m.State == provider.MachineLost, m.State == provider.MachineGone, m.State == provider.MachineTerminating:
		return abandon(r, CauseLost, reasonLost)
	case m.State == provider.MachineReady && m.Unhealthy:
		if r.launchAskedAt == nil || now.Sub(*r.launchAskedAt) >= unhealthyGrace {
			return abandon(r, CauseRejected, reasonUnhealthy)
		}
		return decision{kind: doProgress, step: step.Provisioning, detail: m.Detail}
	case m.State == provider.MachineReady && m.Address != "":
		return decideProbed(r, seen, now)
	case late:
		return abandon(r, CauseTimedOut, reasonNotReady)
	default:
		return decision{kind: doProgress, step: step.Provisioning, detail: m.Detail}
	}
}

// decideFailed is decide for a machine that could not be made.
func decideFailed(r *row, m provider.Machine) decision {
	reason := cmp.Or(m.Detail, reasonNotMade)
	if m.ImageFault && r.image != nil { // the other candidates cannot be installed with it either
		return decision{kind: doFail, cause: CauseRejected, reason: reason}
	}
	return abandon(r, CauseRejected, reason)
}

// decideProbed is decide for a machine that is ready and has an address.
func decideProbed(r *row, seen observation, now time.Time) decision {
	late := !now.Before(r.launchBy)
	switch {
	case seen.probe == nil:
		return decision{kind: doProbe}
	case seen.probe.err != nil && late:
		return abandon(r, CauseTimedOut, reasonNoSSH)
	case seen.probe.err != nil:
		return decision{kind: doProgress, step: step.Connecting, detail: connectingDetail(seen.probe.err)}
	case !late && r.awaitsHostKey(seen.probe.keys, now):
		const detail = "waiting for the machine to take its host key"
		return decision{kind: doProgress, step: step.Connecting, detail: detail}
	default:
		return decideChecked(r, seen, now)
	}
}

// decideLaunchError is decide after Machine or Launch returned an error.
func decideLaunchError(r *row, seen observation, now time.Time) decision {
	err, made := seen.machine.err, r.machineID != ""
	pause := retryAfter(err)
	switch kind := provider.KindOf(err); {
	case kind == provider.KindNoCapacity:
		return abandon(r, CauseNoCapacity, reasonOf(err, reasonNoCapacity))
	case kind == provider.KindRejected, kind == provider.KindUnsupported:
		return abandon(r, CauseRejected, reasonOf(err, reasonRejected))
	case kind == provider.KindNotFound && seen.machine.launched:
		return abandon(r, CauseNoCapacity, reasonOf(err, reasonNoOffer))
	case kind == provider.KindNotFound && r.unsettled(seen.info.SettleTime, now) > 0:
		pause = min(r.unsettled(seen.info.SettleTime, now), seen.info.PollEvery) // it need not be visible yet
	case kind == provider.KindNotFound && made:
		return abandon(r, CauseLost, reasonLost)
	case kind == provider.KindNotFound:
		return decision{kind: doRestart} // Launch can be called now
	case (kind == provider.KindCredentials || kind == provider.KindQuota) && !made:
		return abandon(r, CauseRejected, reasonBlocked) // until the operator acts, nothing is made
	}
	switch {
	case !now.Before(r.launchBy):
		return abandon(r, CauseTimedOut, reasonNoAnswer)
	case pause > 0:
		return wait(earlier(now.Add(pause), r.launchBy))
	default:
		return retry(err) // with the same reference
	}
}

// abandon gives up the present offer. Without another candidate the deployment has failed.
func abandon(r *row, cause Cause, reason string) decision {
	if len(r.plans) == 0 {
		return decision{kind: doFail, cause: cause, reason: reason}
	}
	return decision{kind: doAbandon, cause: cause, reason: reason}
}

// decideNextCandidate is decide for a deployment whose present offer is abandoned and that has
// another candidate. At most one machine is ever asked for: the attempt is recorded first, and
// before another provider is asked, this one must confirm that it has no machine.
func decideNextCandidate(r *row, seen observation, now time.Time) decision {
	a := r.failedAttempt()
	fail := decision{kind: doFail, cause: a.Cause, reason: a.Reason}
	if !seen.nextConfigured {
		return fail
	}
	mayExist := r.machineID != "" || r.launchAskedAt != nil || a.Cause == CauseTimedOut || a.Cause == CauseLost
	if !mayExist {
		return decision{kind: doNextCandidate}
	}
	gone, d := decideRemoval(r, seen, now)
	switch {
	case gone && r.launchOpenAt != nil && underWay(*r.launchOpenAt, now) > 0:
		return wait(r.launchOpenAt.Add(askLimit)) // it may still make another machine
	case gone:
		return decision{kind: doNextCandidate}
	case d.kind == doRetry, d.kind == doWait && now.After(r.launchBy.Add(seen.info.LaunchLimit)):
		return fail // which keeps asking for the machine's end
	default:
		return d
	}
}

// decideRunning is decide for a deployment that a tenant uses and pays for.
func decideRunning(r *row, seen observation, now time.Time) decision {
	if r.action != "" {
		return decision{kind: doPerform}
	}
	if seen.machine == nil {
		return decision{kind: doAskMachine}
	}
	soon := wait(now.Add(seen.info.PollEvery))
	m := seen.machine.machine
	if err := seen.machine.err; err != nil {
		switch {
		case provider.KindOf(err) != provider.KindNotFound:
			return retry(err)
		case r.unsettled(seen.info.SettleTime, now) > 0: // launched a moment ago, and SSH answered
			return soon
		default:
			return decision{kind: doInterrupt, reason: reasonReclaimed, unknown: true}
		}
	}
	switch m.State {
	case provider.MachineGone:
		return decision{kind: doInterrupt, reason: cmp.Or(m.Detail, reasonReclaimed), unknown: true}
	case provider.MachineLost, provider.MachineFailed:
		return decision{kind: doInterrupt, reason: cmp.Or(m.Detail, reasonReclaimed)}
	case provider.MachineProvisioning, provider.MachineTerminating:
		return decideOnItsWay(r, m, soon)
	case provider.MachineOff:
		if r.status == StatusRunning {
			return decision{kind: doPower, cause: CauseSwitchedOff}
		}
	case provider.MachineReady:
		return decideReady(r, seen, now)
	}
	return r.idle()
}

// decideReady is decide for a machine that a tenant uses, and that is on.
func decideReady(r *row, seen observation, now time.Time) decision {
	m := seen.machine.machine
	switch {
	case r.status == StatusStopped:
		return decision{kind: doPower, cause: CauseSwitchedOn}
	case r.stale(m):
		return decision{kind: doUpdateMachine}
	case m.Rescue:
		return r.idle() // SSH is that of the rescue system
	case r.hostKeyBy != nil && now.Before(*r.hostKeyBy) && seen.probe == nil:
		return decision{kind: doProbe}
	case seen.probe != nil && seen.probe.err != nil:
		return wait(now.Add(seen.info.PollEvery))
	case seen.probe != nil:
		return decision{kind: doLearnHostKeys}
	}
	return r.idle()
}

// decideOnItsWay is decide for a machine that is on its way to another state, unless it could not
// be reinstalled.
func decideOnItsWay(r *row, m provider.Machine, soon decision) decision {
	switch {
	case !m.ImageFault:
		return soon
	case r.hostKeyBy != nil: // which every reinstallation sets
		return decision{kind: doReportRefusal, reason: cmp.Or(m.Detail, reasonNotMade)}
	}
	return r.idle()
}

// idle is the decision for a machine that is as the row says. Watch notices what changes.
func (r *row) idle() decision {
	if end, planned := r.autoEnd(); planned {
		return wait(end.at)
	}
	return decision{kind: doNothing}
}

// decideRemoval returns true once the provider has confirmed that it has no machine of the
// deployment, and else what to do about it. Removal is retried indefinitely with backoff.
func decideRemoval(r *row, seen observation, now time.Time) (gone bool, d decision) {
	if seen.terminate == nil {
		return false, decision{kind: doTerminate}
	}
	if err := seen.terminate.err; err != nil && provider.KindOf(err) != provider.KindNotFound {
		if e, is := errors.AsType[*provider.Error](err); is && e.Kind != provider.KindUnavailable && e.RetryAfter > 0 {
			// The provider's own minimum runtime, for example. It costs the operator, not the
			// tenant.
			return false, wait(now.Add(min(e.RetryAfter, maxRetryAfter)))
		}
		return false, retry(fmt.Errorf("terminate a machine of %s: %w", r.provider, err))
	}
	if seen.machine == nil {
		return false, decision{kind: doAskMachine}
	}
	err := seen.machine.err
	if err != nil && provider.KindOf(err) != provider.KindNotFound {
		return false, retry(err)
	}
	if err != nil || seen.machine.machine.State == provider.MachineGone {
		left := r.unsettled(seen.info.SettleTime, now)
		if left > 0 && (err != nil || r.machineID == "") { // a machine may still come of the Launch
			return false, wait(now.Add(min(left, max(seen.info.PollEvery, time.Second))))
		}
		return true, decision{}
	}
	if r.billedUntil == nil || now.Sub(*r.billedUntil) < endLimit {
		return false, wait(now.Add(seen.info.PollEvery))
	}
	return false, retry(fmt.Errorf("%s has not ended a machine that was to end at %s",
		r.provider, r.billedUntil.Format(time.RFC3339)))
}

// retryAfter returns the pause that a throttling provider asks for; 0 if it asks for none.
func retryAfter(err error) time.Duration {
	if e, is := errors.AsType[*provider.Error](err); is && e.Kind == provider.KindThrottled {
		return min(e.RetryAfter, maxRetryAfter)
	}
	return 0
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
