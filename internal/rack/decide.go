package rack

import (
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rackagent"
)

// Tenancy is what a machine is to the deployment that has it.
type Tenancy string

// The tenancies.
const (
	NoTenancy   Tenancy = ""
	Installing  Tenancy = "installing"
	Running     Tenancy = "running" // switched on, as far as is known
	SwitchedOff Tenancy = "off"
	Failed      Tenancy = "failed" // could not be installed
	Rescuing    Tenancy = "rescue" // the rescue system runs, or is being started
	// Refused: the tenant's own image could not be installed in place of what was there. The
	// machine is the tenant's, switched off, and waits for another installation.
	Refused Tenancy = "refused"
)

// Wish is what a deployment wants of the power of its machine.
type Wish string

// The wishes.
const (
	WantNothing Wish = ""
	WantOn      Wish = "on"
	WantOff     Wish = "off"
	WantReboot  Wish = "reboot"
	// wantOffAsked is WantOff after the operating system was asked.
	wantOffAsked Wish = "off_asked"
	// wantDisk starts a machine that runs the agent of a rescue from its drive.
	wantDisk Wish = "disk"
	// wantDiskGently is wantDisk where an operating system may run instead, which is asked first.
	wantDiskGently Wish = "disk_gently"
	wantDiskAsked  Wish = "disk_asked"
	// wantRescueOff is WantOff where the agent of a rescue may run.
	wantRescueOff      Wish = "rescue_off"
	wantRescueOffAsked Wish = "rescue_off_asked"
)

// asked is what becomes of a wish once the operating system was asked to switch itself off.
var asked = map[Wish]Wish{
	WantOff: wantOffAsked, wantDiskGently: wantDiskAsked, wantRescueOff: wantRescueOffAsked,
}

// starts reports whether a machine that leaves a rescue is to start from its drive.
func (w Wish) starts() bool { return w == wantDisk || w == wantDiskGently || w == wantDiskAsked }

// leaves reports whether a machine leaves a rescue, so that its agent may run.
func (w Wish) leaves() bool { return w.starts() || w == wantRescueOff || w == wantRescueOffAsked }

const (
	// firmwareLimit is how long a machine may take from being switched on until its agent reports:
	// servers with eight GPUs need many minutes for their own tests.
	firmwareLimit = 25 * time.Minute
	// silenceLimit is how long an agent may be silent.
	silenceLimit = 10 * time.Minute
	// maxBoots is how often a machine is started for one job.
	maxBoots = 3
	// watchEvery is how often the power of a machine with a tenant is read.
	watchEvery = 5 * time.Minute
	// watchAgain is the same while its BMC does not answer.
	watchAgain = 15 * time.Minute
	// rescueLimit is how long a rescue system runs.
	rescueLimit = 24 * time.Hour
	// leaveTime is how long an agent may take to notice that a rescue has ended, and to unmount
	// what its tenant has mounted.
	leaveTime = 20 * time.Second
	// graceTime is how long an operating system may take to switch itself off.
	graceTime = 90 * time.Second
	// graceEvery is how often the power is read meanwhile.
	graceEvery = 10 * time.Second
)

// limits are how long a job may take from the start of the machine to its end, by kind.
var limits = map[rackagent.Kind]time.Duration{
	rackagent.Inspect: time.Hour, rackagent.Deploy: 2 * time.Hour, rackagent.Erase: 48 * time.Hour,
	rackagent.Rescue: rescueLimit,
}

// agentJob is the last job of the agent on a machine.
type agentJob struct {
	Machine   id.ID
	ID        id.ID
	Kind      rackagent.Kind
	TokenHash *string
	Attempts  int64
	CreatedAt time.Time
	// BootedAt is when the BMC had started the machine; nil until then.
	BootedAt, ClaimedAt, HeardAt *time.Time
	Number                       int64
	Phase                        rackagent.Phase
	Progress                     int64
	// Outcome is Done or Stopped; "" while the agent works.
	Outcome  rackagent.Phase
	Error    string
	Hardware *rackagent.Hardware
	Erasure  *rackagent.Erasure
	// Closed jobs have had their effect.
	Closed bool
}

// served reports whether the agent of a rescue has said that the tenant can log in. One that has
// got its job may still stop before that.
func (j agentJob) served() bool {
	return j.Kind == rackagent.Rescue && j.BootedAt != nil && j.Phase == rackagent.Serving
}

// deadline returns until when the agent must have reported next. since is when this process
// started: no agent was heard before.
func (j agentJob) deadline(since time.Time) time.Time {
	next := j.BootedAt.Add(firmwareLimit)
	if j.HeardAt != nil {
		next = j.HeardAt.Add(silenceLimit)
	}
	if heard := since.Add(silenceLimit); heard.After(next) {
		next = heard
	}
	if last := j.BootedAt.Add(limits[j.Kind]); last.Before(next) {
		return last
	}
	return next
}

// step is what is to be done next with a machine.
type step string

const (
	stepNone     step = ""
	stepBegin    step = "begin"    // enter a job for the agent
	stepBoot     step = "boot"     // start the agent
	stepWait     step = "wait"     // for the agent
	stepFail     step = "fail"     // the agent did not answer in time
	stepEnd      step = "end"      // apply what the agent did
	stepRotate   step = "rotate"   // replace the password of the BMC
	stepValidate step = "validate" // compare
	stepCut      step = "cut"      // switch off the machine of a deployment that has ended
	stepPower    step = "power"    // switch it as the deployment wants
	stepWatch    step = "watch"    // read its power
	stepOff      step = "off"      // leave it switched off, without a CD
)

// decision is a step with what it needs.
type decision struct {
	step step
	kind rackagent.Kind
	// at is when to decide again, for stepWait and stepWatch.
	at time.Time
}

// decide returns what is to be done next. It is a pure function of what is stored.
func decide(m Machine, j *agentJob, now, since time.Time) decision {
	if m.DeploymentID != nil && !m.State.Tenanted() && !m.OverSSH() {
		return decision{step: stepCut}
	}
	switch m.State {
	case Inspecting:
		return decideJob(j, rackagent.Inspect, now, since)
	case Validating:
		if m.rotates() {
			return decision{step: stepRotate}
		}
		return decision{step: stepValidate}
	case Erasing:
		if m.finishing(j) {
			d := decideJob(j, rackagent.Deploy, now, since)
			if j.BootedAt != nil && (d.step == stepBoot || d.step == stepFail) {
				d.step = stepEnd // it is erased, whatever came of it
			}
			return d
		}
		return decideJob(j, rackagent.Erase, now, since)
	case Assigned, Draining:
		return decideTenancy(m, j, now, since)
	case Quarantined, Retired:
		// What a tenant installed may run on it. A machine that was never started from here is not
		// touched.
		if m.Unerased && j != nil && m.watchedAt == nil && !m.OverSSH() {
			return decision{step: stepOff}
		}
	}
	return decision{}
}

func decideTenancy(m Machine, j *agentJob, now, since time.Time) decision {
	switch m.tenancy {
	case Installing:
		return decideJob(j, rackagent.Deploy, now, since)
	case Rescuing:
		d := decideJob(j, rackagent.Rescue, now, since)
		if d.kind == rackagent.Rescue && j != nil && !j.Closed && j.Outcome == "" && j.served() {
			// Its tenant has changed the network, or uses all of the machine: silence says nothing.
			d.step, d.at = stepWait, j.BootedAt.Add(rescueLimit)
			if !now.Before(d.at) {
				d.step = stepFail
			}
		}
		return d
	case Running, SwitchedOff:
		if m.OverSSH() {
			return decision{} // it has no power, and that it does not answer would say nothing
		}
		if m.wanted != WantNothing {
			return decision{step: stepPower}
		}
		at := now
		if m.watchedAt != nil {
			at = m.watchedAt.Add(watchEvery)
			if m.Detail != "" { // what was wrong the last time
				at = m.watchedAt.Add(watchAgain)
			}
		}
		if now.Before(at) {
			return decision{step: stepWait, at: at}
		}
		return decision{step: stepWatch}
	}
	return decision{}
}

func decideJob(j *agentJob, kind rackagent.Kind, now, since time.Time) decision {
	d := decision{kind: kind}
	switch {
	case j == nil || j.Kind != kind || j.Closed:
		d.step = stepBegin
	case j.Outcome != "":
		d.step = stepEnd
	case j.BootedAt == nil:
		d.step = stepBoot
	case now.Before(j.deadline(since)):
		d.step, d.at = stepWait, j.deadline(since)
	case j.Attempts < maxBoots:
		d.step = stepBoot
	default:
		d.step = stepFail
	}
	return d
}
