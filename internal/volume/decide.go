package volume

import (
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

const (
	// createLimit is how long the creation of a volume may take.
	createLimit = 15 * time.Minute
	// lostLimit is how long a provider must report that it does not know a volume before it is
	// lost.
	lostLimit = 15 * time.Minute
	// machineLimit is how long, beyond the provider's launch limit, a volume waits for a machine.
	machineLimit = 15 * time.Minute
	// cleanFor is how long a volume that was never created is deleted upstream, and cleanEvery how
	// often.
	cleanFor   = time.Hour
	cleanEvery = 10 * time.Minute
	// maxPause is the longest pause between two polls of a volume.
	maxPause = 5 * time.Minute
	// unopenedEvery is how soon a create is tried again whose provider account cannot be opened
	// here. Another replica may be able to.
	unopenedEvery = 10 * time.Second
)

// What a tenant reads of a change that failed, before the provider's own reason if there is one.
const (
	reasonCreateRefused = "The provider refused to create the volume"
	reasonAttachRefused = "The provider refused to attach the volume"
	reasonGrowRefused   = "The provider refused to grow the volume"
	reasonNotCreated    = "The provider couldn't create the volume."
	reasonNoMachine     = "The deployment's machine never became available."
	reasonMachineEnded  = "The deployment's machine has ended."
	reasonLost          = "The provider no longer has this volume."
	reasonUnavailable   = "The provider wasn't available in time. " +
		"Choose another provider, or try again later."
)

// decisionKind is what a run does next.
type decisionKind string

// Questions: the answer becomes part of the observation, and the run decides again.
const (
	doAskVolume  decisionKind = "ask for the volume"
	doAskMachine decisionKind = "ask for the machine"
	doCreate     decisionKind = "create"
	doAttach     decisionKind = "attach"
	doDetach     decisionKind = "detach"
	doRemove     decisionKind = "remove upstream"
	doGrow       decisionKind = "grow"
)

// Changes: each is one transaction, and ends the run.
const (
	doMakeAvailable decisionKind = "make available"
	doFailCreate    decisionKind = "fail the creation"
	doConfirmAttach decisionKind = "confirm the attachment"
	doCancelAttach  decisionKind = "cancel the attachment"
	doConfirmDetach decisionKind = "confirm the detachment"
	doConfirmDelete decisionKind = "confirm the deletion"
	doConfirmClean  decisionKind = "confirm the clean-up"
	doConfirmGrowth decisionKind = "confirm the growth"
	doCancelGrowth  decisionKind = "cancel the growth"
	doLose          decisionKind = "lose"
)

// Pauses: nothing is written.
const (
	doWait    decisionKind = "wait"               // until an instant
	doRetry   decisionKind = "retry with backoff" // because of an error
	doNothing decisionKind = "nothing more to do" // until something enqueues the job again
)

// decision is what a run does next, with what the applier of its kind needs.
type decision struct {
	kind   decisionKind
	reason string    // of doFailCreate, doCancelAttach, doCancelGrowth, doLose
	at     time.Time // of doWait
	err    error     // of doRetry
}

// observation is what a run knows beside the row. Its pointers are nil until decide asked.
type observation struct {
	configured bool // the provider is, and has volumes
	info       provider.Info
	volume     *volumeAnswer
	machine    *machineAnswer
	attach     *answer
	detach     *answer
	remove     *answer
	grow       *answer
	grownTo    int64 // the size that grow asked for
}

// volumeAnswer is what Volume or CreateVolume answered.
type volumeAnswer struct {
	volume  provider.Volume
	err     error
	created bool // by CreateVolume
}

// machineAnswer is what Machine answered.
type machineAnswer struct {
	state provider.MachineState
	err   error
}

// answer is what a call without a result answered.
type answer struct{ err error }

func wait(at time.Time) decision { return decision{kind: doWait, at: at} }

// decide returns what to do next about a volume. It depends on nothing but its arguments.
func decide(r *record, seen observation, now time.Time) decision {
	switch {
	case !r.unsettled():
		return decision{kind: doNothing}
	case !seen.configured && r.status == StatusCreating && now.Sub(r.createdAt) >= createLimit:
		// The clean-up waits until the provider can be asked.
		return decision{kind: doFailCreate, reason: reasonUnavailable}
	case !seen.configured && r.status == StatusCreating:
		return wait(earlier(now.Add(unopenedEvery), r.createdAt.Add(createLimit)))
	case !seen.configured:
		return decision{
			kind: doRetry,
			err: fmt.Errorf("volume %s is %s at %s, which is not configured or has no volumes",
				r.id, r.status, r.provider),
		}
	}
	switch r.status {
	case StatusCreating:
		return decideCreating(r, seen, now)
	case StatusAttaching:
		return decideAttaching(r, seen, now)
	case StatusDetaching:
		return decideDetaching(r, seen, now)
	case StatusDeleting:
		return decideDeleting(r, seen, now)
	case StatusFailed, StatusDeleted:
		return decideCleaning(r, seen, now)
	default:
		return decideGrowing(seen, now)
	}
}

// decideCreating asks for the volume, creates it if there is none, and waits until it is ready. A
// create whose outcome is unknown is settled by the next question. Repeating it with the same
// reference cannot make a second volume, once the first request cannot take effect any more.
func decideCreating(r *record, seen observation, now time.Time) decision {
	a := seen.volume
	if a == nil {
		return decision{kind: doAskVolume}
	}
	err := a.err
	if err != nil && !a.created && provider.KindOf(err) == provider.KindNotFound {
		left := r.createMayLand(seen.info.SettleTime, now)
		if left == 0 {
			return decision{kind: doCreate}
		}
		err = &provider.Error{Kind: provider.KindThrottled, RetryAfter: min(left, pollEvery(seen.info))}
	}
	switch {
	case err != nil && a.created && definite(err):
		return decision{kind: doFailCreate, reason: reasonCreateRefused + explanation(err)}
	case err == nil && a.volume.Failed:
		return decision{kind: doFailCreate, reason: reasonNotCreated}
	case err == nil && a.volume.Ready:
		return decision{kind: doMakeAvailable}
	case now.Sub(r.createdAt) >= createLimit:
		return decision{kind: doFailCreate, reason: fmt.Sprintf(
			"The provider didn't create the volume within %d minutes.", createLimit/time.Minute)}
	case err != nil:
		return retry(err, now)
	default:
		return r.poll(seen.info, now)
	}
}

// decideAttaching waits for the deployment's machine, and attaches the volume to it.
func decideAttaching(r *record, seen observation, now time.Time) decision {
	a := seen.volume
	switch {
	case a == nil:
		return decision{kind: doAskVolume}
	case a.err != nil:
		return r.attachError(a.err, now)
	case a.volume.AttachedTo != "" && a.volume.AttachedTo != r.deployment && seen.detach == nil && seen.attach == nil:
		return decision{
			kind: doDetach,
		} // left over from an attachment that was canceled; it must not wait for the machine
	case seen.detach != nil && seen.detach.err != nil:
		return r.attachError(seen.detach.err, now)
	case seen.machine == nil:
		return decision{kind: doAskMachine}
	}
	if d, ready := r.awaitMachine(seen, now); !ready {
		return d
	}
	switch {
	case seen.attach == nil: // also if it seems attached: another replica may have ended that since
		return decision{kind: doAttach}
	case seen.attach.err != nil:
		return r.attachError(seen.attach.err, now)
	case a.volume.AttachedTo == r.deployment:
		return decision{kind: doConfirmAttach}
	default:
		return r.poll(seen.info, now)
	}
}

// awaitMachine returns true if the machine is ready, and else what to do. A deployment that ends
// detaches its volumes itself (DetachAll); the limit is for one that cannot.
func (r *record) awaitMachine(seen observation, now time.Time) (d decision, ready bool) {
	tooLong := now.Sub(r.statusSince) >= seen.info.LaunchLimit+machineLimit
	m := seen.machine
	switch {
	case m.err != nil && provider.KindOf(m.err) != provider.KindNotFound:
		return retry(m.err, now), false
	case m.err == nil && m.state == provider.MachineReady:
		return decision{}, true
	case m.err != nil && tooLong:
		return decision{kind: doCancelAttach, reason: reasonNoMachine}, false
	case m.err == nil && m.state != provider.MachineProvisioning && m.state != provider.MachineOff && tooLong:
		return decision{kind: doCancelAttach, reason: reasonMachineEnded}, false
	case r.wantedSizeGB > r.sizeGB: // growth need not wait for a machine that may be switched off for long
		return decideGrowing(seen, now), false
	default:
		return r.poll(seen.info, now), false
	}
}

// attachError cancels the attachment if the provider refused it. NotFound counts only after a
// while: the machine may have ended this moment, and will be seen to have.
func (r *record) attachError(err error, now time.Time) decision {
	missing := provider.KindOf(err) == provider.KindNotFound
	if !definite(err) || missing && now.Sub(r.statusSince) < lostLimit {
		return retry(err, now)
	}
	return decision{kind: doCancelAttach, reason: reasonAttachRefused + explanation(err)}
}

// decideDetaching detaches the volume and waits until the provider confirms it.
func decideDetaching(r *record, seen observation, now time.Time) decision {
	if seen.detach == nil {
		return decision{kind: doDetach}
	}
	err := seen.detach.err
	if err == nil {
		if seen.volume == nil {
			return decision{kind: doAskVolume}
		}
		err = seen.volume.err
	}
	switch {
	case err == nil && seen.volume.volume.AttachedTo == "":
		return decision{kind: doConfirmDetach}
	case err == nil:
		return r.poll(seen.info, now)
	case provider.KindOf(err) == provider.KindNotFound && now.Sub(r.statusSince) >= lostLimit:
		return decision{kind: doLose, reason: reasonLost}
	default:
		return retry(err, now)
	}
}

// decideDeleting removes the volume upstream. A create that may still land must be waited for.
func decideDeleting(r *record, seen observation, now time.Time) decision {
	switch left := r.createMayLand(seen.info.SettleTime, now); {
	case seen.remove == nil:
		return decision{kind: doRemove}
	case seen.remove.err != nil:
		return retry(seen.remove.err, now)
	case left > 0:
		return wait(now.Add(min(left, pollEvery(seen.info))))
	default:
		return decision{kind: doConfirmDelete}
	}
}

// decideCleaning removes what an abandoned create may have left upstream, until none can land.
func decideCleaning(r *record, seen observation, now time.Time) decision {
	switch {
	case seen.remove == nil:
		return decision{kind: doRemove}
	case seen.remove.err != nil:
		return retry(seen.remove.err, now)
	case !now.Before(*r.cleanUntil):
		return decision{kind: doConfirmClean}
	case now.Add(cleanEvery).After(*r.cleanUntil):
		return wait(*r.cleanUntil)
	default:
		return wait(now.Add(cleanEvery))
	}
}

// decideGrowing has the volume grow.
func decideGrowing(seen observation, now time.Time) decision {
	switch {
	case seen.grow == nil:
		return decision{kind: doGrow}
	case seen.grow.err == nil:
		return decision{kind: doConfirmGrowth}
	case definite(seen.grow.err) && provider.KindOf(seen.grow.err) != provider.KindNotFound:
		return decision{kind: doCancelGrowth, reason: reasonGrowRefused + explanation(seen.grow.err)}
	default:
		return retry(seen.grow.err, now)
	}
}

// createMayLand returns how long a create without an answer may still take effect unseen; 0 if none
// can. createAskedAt is when it began: the request may have waited for its turn for as long as
// Billet waits for an answer before it was sent.
func (r *record) createMayLand(settleTime time.Duration, now time.Time) time.Duration {
	if r.availableAt != nil || r.createAskedAt == nil {
		return 0
	}
	return max(0, r.createAskedAt.Add(askLimit+settleTime).Sub(now))
}

// pollEvery is the shortest pause between two questions.
func pollEvery(info provider.Info) time.Duration { return max(info.PollEvery, time.Second) }

// poll asks again: at first as often as the provider wants, then with growing pauses.
func (r *record) poll(info provider.Info, now time.Time) decision {
	return wait(now.Add(max(pollEvery(info), min(now.Sub(r.statusSince)/10, maxPause))))
}

// retry asks again after an error: when the provider wants, or with the job's own backoff.
func retry(err error, now time.Time) decision {
	if e, is := errors.AsType[*provider.Error](err); is && e.RetryAfter > 0 {
		return wait(now.Add(min(e.RetryAfter, maxPause)))
	}
	return decision{kind: doRetry, err: err}
}

// definite reports whether the provider understood the request and will not carry it out.
func definite(err error) bool {
	switch provider.KindOf(err) {
	case provider.KindRejected, provider.KindUnsupported, provider.KindNoCapacity, provider.KindNotFound:
		return true
	}
	return false
}

// explanation is the provider's message, as the end of a sentence.
func explanation(err error) string {
	if e, is := errors.AsType[*provider.Error](err); is && e.Message != "" {
		return ": " + provider.Plain(e.Message, 200)
	}
	return "."
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
