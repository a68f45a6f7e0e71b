package deployment

import (
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/health"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
	"github.com/billetcloud/billet/internal/wallet"
)

// row is a deployment as the database keeps it: a field for each column of the table, under the
// column's name, and the tags.
type row struct {
	id      id.ID
	account id.ID
	name    string
	status  Status
	cause   Cause
	reason  string // the cause in words; "" where the cause says it all

	provider        string
	region          string
	offerID         id.ID
	offerKey        string
	gpuType         string
	gpuCount        int
	instanceType    provider.InstanceType
	operatingSystem string
	image           *provider.Image // the tenant's own; nil for an operating system of the offer
	hourlyPrice     money.Micros
	costPrice       money.Micros // what the provider asked for an hour when the deployment was created
	capabilities    provider.Capabilities
	minimumRuntime  time.Duration
	plans           []plan    // the remaining candidates, in order
	attempts        []Attempt // the candidates that failed or were passed over

	authorizedKeys []authorizedKey
	cloudInit      string
	steps          []step.Step
	action         Action
	actionArgument string
	actionImage    *provider.Image // the tenant's own image to reinstall with
	offRequested   bool            // the tenant had the machine switched off
	rescue         bool            // the machine runs its rescue system
	spendingKeyID  id.ID           // the API key whose spending limits it counts toward; "" for none
	project        string          // "" for none
	createdBy      creator.Creator
	tags           []string

	machineID        string
	address          string
	sshUser          string
	sshPort          int
	sshHostKeys      []string
	sshHostKeySource HostKeySource
	hostKeyPublic    string     // the host key that the machine was given; "" for none
	hostKeySealed    string     // its private part, until the machine has shown a key
	hostKeyBy        *time.Time // how long to wait for the host key of a reinstalled machine
	nodes            []storedNode
	machineCost      money.Micros // what the provider states that the machine costs an hour; 0 if unknown

	gpuMemory       int // GB of one GPU; 0 if unknown
	interconnect    string
	healthPolicy    health.Policy
	healthAccess    health.Access
	healthKeyPublic string // the key that the machine was given for checks; "" for none
	healthKeySealed string // its private part; "" once it is forgotten
	healthVerdict   gpucheck.Verdict
	healthReason    string
	healthCheckedAt *time.Time
	healthDoubtedAt *time.Time // when a check failed that a second one has to confirm; nil for none

	autoTerminateAt       *time.Time
	maxSpend              *money.Micros // no hour begins that would pass it
	maxRuntime            *int64        // minutes from startedAt
	terminationProtection bool
	createdAt             time.Time
	launchBy              time.Time  // the deployment fails if it does not run by then
	launchAskedAt         *time.Time // the last call of Launch that may have made a machine
	launchOpenAt          *time.Time // the last call of Launch without an answer
	startedAt             *time.Time
	billedUntil           *time.Time
	endingSince           *time.Time // the machine is to end, and the provider has not confirmed it
	releasedAt            *time.Time // the provider confirmed that no machine is left
}

// authorizedKey is a public key that may log in, with its line of an authorized_keys file.
type authorizedKey struct {
	KeyRef
	Line string `json:"line"`
}

// view returns the deployment as the API shows it, except for what other packages know: its cost
// and its volumes.
func (r *row) view() Deployment {
	d := Deployment{
		ID: r.id, Account: r.account, Name: r.name, Status: r.status, StatusCause: r.cause,
		Provider: r.provider, OfferID: r.offerID, GPUType: r.gpuType, GPUCount: r.gpuCount, Region: r.region,
		OperatingSystem: r.operatingSystem, InstanceType: r.instanceType, Capabilities: r.capabilities,
		HourlyPrice: r.hourlyPrice,
		SSHHostKeys: []string{}, Nodes: []Node{}, SSHKeys: make([]KeyRef, len(r.authorizedKeys)),
		VolumeIDs: []id.ID{}, Tags: append([]string{}, r.tags...), Steps: r.steps, Attempts: r.attempts,
		CloudInit: r.cloudInit != "", TerminableAt: r.terminableAt(), AutoTerminateAt: r.autoTerminateAt,
		TerminationProtection: r.terminationProtection, CreatedAt: r.createdAt, StartedAt: r.startedAt,
		BilledUntil: r.billedUntil, CreatedBy: r.createdBy, MaxSpend: r.maxSpend, MaxRuntimeMinutes: r.maxRuntime,
		Health: r.viewHealth(), Rescue: r.rescue && !r.ended(),
	}
	if end, planned := r.autoEnd(); planned && !r.ended() {
		d.EndsAt = &end.at
	}
	if r.image != nil {
		d.ImageID = &r.image.ID
	}
	if r.project != "" {
		d.Project = &r.project
	}
	if r.reason != "" {
		d.StatusReason = &r.reason
	}
	if r.status.Final() {
		d.TerminatedAt = r.billedUntil
	}
	if r.action != "" {
		d.PendingAction = &r.action
	}
	for i, k := range r.authorizedKeys {
		d.SSHKeys[i] = k.KeyRef
	}
	if r.address != "" && !r.status.Final() { // after the end the address may be another machine's
		r.viewMachine(&d)
	}
	return d
}

// viewMachine fills in how to reach the machine.
func (r *row) viewMachine(d *Deployment) {
	d.IPAddress, d.SSHUser, d.SSHPort = &r.address, &r.sshUser, &r.sshPort
	command := "ssh " + r.sshUser + "@" + r.address
	if r.sshPort != 22 {
		command = fmt.Sprintf("ssh -p %d %s@%s", r.sshPort, r.sshUser, r.address)
	}
	d.SSHCommand = &command
	for _, k := range r.sshHostKeys {
		d.SSHHostKeys = append(d.SSHHostKeys, knownHost(r.address, r.sshPort)+" "+k)
	}
	if len(d.SSHHostKeys) > 0 && r.sshHostKeySource != "" {
		d.SSHHostKeySource = &r.sshHostKeySource
	}
	d.Nodes = r.viewNodes()
}

// terminableAt returns when the minimum runtime has passed.
func (r *row) terminableAt() time.Time {
	if r.startedAt != nil {
		return r.startedAt.Add(r.minimumRuntime)
	}
	return r.createdAt.Add(r.minimumRuntime)
}

// ended reports whether the tenant's time is over.
func (r *row) ended() bool { return r.status.Final() || r.status == StatusTerminating }

// failedAttempt returns the attempt that the present offer came to; nil while it may still run.
func (r *row) failedAttempt() *Attempt {
	if n := len(r.attempts); n > 0 && r.attempts[n-1].OfferID == r.offerID {
		return &r.attempts[n-1]
	}
	return nil
}

// unsettled returns how long a machine that a Launch made, or may still make, need not be visible
// at the provider; 0 where it must be. launchAskedAt is when the Launch began: the request may have
// waited for its turn for as long as Billet waits for an answer before it was sent.
func (r *row) unsettled(settleTime time.Duration, now time.Time) time.Duration {
	if r.launchAskedAt == nil || settleTime == 0 {
		return 0
	}
	return max(0, settleTime+underWay(*r.launchAskedAt, now))
}

// underWay returns how long a Launch that began at that instant may still be on its way to the
// provider, sent for example by a worker that lost its job.
func underWay(begun, now time.Time) time.Duration { return begun.Add(askLimit).Sub(now) }

// labels are what the statement shows of the deployment.
func (r *row) labels() wallet.Labels {
	return wallet.Labels{Provider: r.provider, Region: r.region, GPUType: r.gpuType, Name: r.name}
}

// billed is what usage is grouped by beside the labels.
func (r *row) billed() wallet.Subject {
	return wallet.Subject{ID: r.id, Account: r.account, Project: r.project, Tags: r.tags, CreatedBy: r.createdBy}
}

// hardware is what an hour pays for, in words.
func (r *row) hardware() string { return fmt.Sprintf("%d × %s", r.gpuCount, r.gpuType) }
