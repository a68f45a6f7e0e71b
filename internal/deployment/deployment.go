package deployment

import (
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// MinimumRuntime is the least time that a deployment runs, from the specification. A
// provider's own longer minimum wins.
const MinimumRuntime = 25 * time.Minute

// MinimumBalance is what must be available in the wallet to deploy, from the specification.
const MinimumBalance = 50 * money.USD

// Deployment is a tenant's machine through its life, as the API shows it.
type Deployment struct {
	ID      id.ID  `json:"id" doc:"Id of the deployment, dep_…; empty for a dry run."`
	Account id.ID  `json:"-"`
	Name    string `json:"name" doc:"What it is called."`
	Status  Status `json:"status" doc:"Where it is in its life; terminated, failed and interrupted are final."`
	// StatusCause is why the status is what it is, as a stable word; StatusReason says it in words where there is more to say.
	StatusCause  Cause   `json:"statusCause" doc:"Why the status is what it is, as a stable word."`
	StatusReason *string `json:"statusReason" doc:"The same in words, where there is more to say."`

	Provider        string                `json:"provider" doc:"Slug of the provider."`
	OfferID         id.ID                 `json:"offerId" doc:"The offer that it was made of."`
	GPUType         string                `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUCount        int                   `json:"gpuCount" doc:"GPUs in the machine."`
	Region          string                `json:"region" doc:"Slug of the region."`
	OperatingSystem string                `json:"operatingSystem" doc:"What is installed."`
	InstanceType    provider.InstanceType `json:"instanceType" doc:"A whole machine, a virtual one, one that may be taken back, or several."`
	Capabilities    provider.Capabilities `json:"capabilities" doc:"What the provider can do with the machine."`
	// HourlyPrice is what an hour costs, agreed when the deployment was created.
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars an hour, agreed when it was created."`

	// IPAddress and what follows are known once the machine runs, and until the deployment has ended.
	IPAddress  *string `json:"ipAddress" doc:"Where SSH answers; null until it does."`
	SSHUser    *string `json:"sshUser" doc:"Who to log in as."`
	SSHPort    *int    `json:"sshPort" doc:"Port of SSH."`
	SSHCommand *string `json:"sshCommand" doc:"What to type to log in."`
	// SSHHostKeys are known_hosts lines.
	SSHHostKeys []string `json:"sshHostKeys" doc:"The machine’s own keys, as known_hosts lines; of a deployment with several nodes those of the first."`
	// SSHHostKeySource tells how far SSHHostKeys can be trusted.
	SSHHostKeySource *HostKeySource `json:"sshHostKeySource" doc:"How the host keys came to be known: provider (stated by it), issued (made by Billet, given to the machine, and shown by it) or first_connection (shown by the machine when Billet first connected to it); null where there are none."`
	Nodes            []Node         `json:"nodes" doc:"The servers of the machine, in the provider’s order; empty until SSH answers. The first is the one that ipAddress and sshPort name; a CLUSTER has several."`
	SSHKeys          []KeyRef       `json:"sshKeys" doc:"The public keys that may log in."`
	VolumeIDs        []id.ID        `json:"volumeIds" doc:"Volumes that are attached, or on their way to or from it."`
	Tags             []string       `json:"tags" doc:"Words of yours."`
	Steps            []step.Step    `json:"steps" doc:"How far deploying has come."`
	// Attempts are the candidates before the one that it has now, oldest first.
	Attempts  []Attempt `json:"attempts" doc:"Candidates that failed, or were passed over, before the offer that it has now; oldest first."`
	CloudInit bool      `json:"cloudInit" doc:"Whether it was given a cloud-config."`
	// PendingAction is what the provider is still to be asked for: "reboot", "power-on", "power-off", "reinstall".
	PendingAction *Action `json:"pendingAction" doc:"What the provider is still to do; null where nothing is."`

	// CostToDate is what was charged less what was refunded.
	CostToDate money.Micros `json:"costToDate" doc:"US dollars charged so far, less refunds."`
	// TerminableAt is the first instant at which a terminate is accepted.
	TerminableAt          time.Time  `json:"terminableAt" doc:"From when on it can be terminated."`
	AutoTerminateAt       *time.Time `json:"autoTerminateAt" doc:"When it ends by itself; null for never."`
	TerminationProtection bool       `json:"terminationProtection" doc:"While true, a terminate is refused."`
	CreatedAt             time.Time  `json:"createdAt" doc:"When it was asked for."`
	// StartedAt is when SSH first answered and the first hour began.
	StartedAt *time.Time `json:"startedAt" doc:"When SSH first answered and the first hour began; null before."`
	// BilledUntil is the instant to which the tenant pays, known from the accepted terminate on.
	BilledUntil *time.Time `json:"billedUntil" doc:"To when it is paid for, known from the accepted terminate on."`
	// TerminatedAt is BilledUntil once the status is final.
	TerminatedAt *time.Time `json:"terminatedAt" doc:"The same instant, once the machine has ended; null before."`
	// DryRun tells that nothing was made: the deployment shows what would be.
	DryRun bool `json:"dryRun,omitempty" doc:"true where nothing was made, and this is what would be."`
}

// KeyRef is a public key that may log in.
type KeyRef struct {
	// ID is nil for a key that was given in the request and is not registered.
	ID          *id.ID `json:"id" doc:"Id of the saved key, ssh_…; null for one that was only in the request."`
	Name        string `json:"name" doc:"What it is called."`
	Fingerprint string `json:"fingerprint" doc:"SHA256:…, as ssh-keygen -l shows it."`
}

// Action is something that a provider can be asked to do with a machine.
type Action string

// The actions.
const (
	ActionReboot    Action = "reboot"
	ActionPowerOn   Action = "power-on"
	ActionPowerOff  Action = "power-off"
	ActionReinstall Action = "reinstall"
)

// CanTerminate tells whether, and at what cost, a deployment could be terminated now.
type CanTerminate struct {
	CanTerminate bool `json:"canTerminate" doc:"Whether a terminate would be accepted now."`
	// Reason says what is in the way, nil where nothing is.
	Reason           *string   `json:"reason" doc:"What is in the way; null where nothing is."`
	TerminableAt     time.Time `json:"terminableAt" doc:"From when on the minimum runtime is met."`
	RemainingSeconds int64     `json:"remainingSeconds" doc:"Seconds until then; 0 once it is met."`
	// Refund is what would come back of the hour that is paid, were the deployment terminated at this instant.
	Refund money.Micros `json:"refund" doc:"US dollars that would come back of the hour that is paid."`
	// Release is the hold that would be given back, where the deployment does not run yet.
	Release money.Micros `json:"release" doc:"US dollars set aside that would be given back, where it does not run yet."`
}

// row is a deployment as the database keeps it, with what tenants do not see.
type row struct {
	Deployment
	offerKey       string
	costPrice      money.Micros
	keys           []authorizedKey
	cloudInit      string
	action         Action
	actionArgument string
	machineID      string
	address        string
	sshUser        string
	sshPort        int
	hostKeys       []string
	hostKeySource  HostKeySource
	hostKeyPublic  string     // the host key that the machine was given, "" for none
	hostKeySealed  string     // its private part, until the machine has shown a key
	hostKeyBy      *time.Time // until when the key of a reinstalled machine is looked for
	nodes          []storedNode
	machineCost    money.Micros // what the provider states that the machine costs an hour; 0 where it does not
	minimumRuntime time.Duration
	launchBy       time.Time
	limitedKey     id.ID  // the API key whose allowance it counts for; "" for none
	plans          []plan // what comes next where this offer fails before it runs
	releasedAt     *time.Time
	launchAsked    *time.Time // when Launch was last called, unless it was answered that there is no machine
	launchOpen     *time.Time // when Launch was last called without an answer
	endingSince    *time.Time // the machine is to end, and the provider has not confirmed it
}

type authorizedKey struct {
	KeyRef
	Line string `json:"line"`
}

// finish fills in what the API shows and the database does not keep.
func (r *row) finish() {
	d := &r.Deployment
	base := d.CreatedAt
	if d.StartedAt != nil {
		base = *d.StartedAt
	}
	d.TerminableAt = base.Add(r.minimumRuntime)
	if d.Status.Final() {
		d.TerminatedAt = d.BilledUntil
	}
	if r.action != "" {
		d.PendingAction = &r.action
	}
	d.CloudInit = r.cloudInit != ""
	d.SSHKeys = make([]KeyRef, len(r.keys))
	for i, k := range r.keys {
		d.SSHKeys[i] = k.KeyRef
	}
	d.SSHHostKeys, d.SSHHostKeySource, d.Nodes = []string{}, nil, []Node{}
	if r.address == "" || d.Status.Final() { // an address that was given back may be somebody else's by now
		return
	}
	d.IPAddress, d.SSHUser, d.SSHPort = &r.address, &r.sshUser, &r.sshPort
	command := "ssh " + r.sshUser + "@" + r.address
	if r.sshPort != 22 {
		command = fmt.Sprintf("ssh -p %d %s@%s", r.sshPort, r.sshUser, r.address)
	}
	d.SSHCommand = &command
	for _, k := range r.hostKeys {
		d.SSHHostKeys = append(d.SSHHostKeys, knownHost(r.address, r.sshPort)+" "+k)
	}
	if len(d.SSHHostKeys) > 0 && r.hostKeySource != "" {
		d.SSHHostKeySource = &r.hostKeySource
	}
	r.showNodes()
}

// terminateDue returns the instant at which the deployment is to end by itself: autoTerminateAt, or the
// end of the minimum runtime where that is later. It is false where nothing is planned.
func (r *row) terminateDue() (time.Time, bool) {
	if r.AutoTerminateAt == nil {
		return time.Time{}, false
	}
	if r.AutoTerminateAt.Before(r.TerminableAt) {
		return r.TerminableAt, true
	}
	return *r.AutoTerminateAt, true
}
