package deployment

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
)

// MinimumRuntime is the least time that a deployment runs, from the specification. A
// provider's own longer minimum wins.
const MinimumRuntime = 25 * time.Minute

// MinimumBalance is what must be available in the wallet to deploy, from the specification.
const MinimumBalance = 50 * money.USD

// Deployment is a tenant's machine through its life, as the API shows it.
type Deployment struct {
	ID      id.ID  `json:"id"`
	Account id.ID  `json:"-"`
	Name    string `json:"name"`
	Status  Status `json:"status"`
	// StatusCause is why the status is what it is, as a stable word; StatusReason says it in words where there is more to say.
	StatusCause  Cause   `json:"statusCause"`
	StatusReason *string `json:"statusReason"`

	Provider        string                `json:"provider"`
	OfferID         id.ID                 `json:"offerId"`
	GPUType         string                `json:"gpuType"`
	GPUCount        int                   `json:"gpuCount"`
	Region          string                `json:"region"`
	OperatingSystem string                `json:"operatingSystem"`
	InstanceType    provider.InstanceType `json:"instanceType"`
	Abilities       provider.Abilities    `json:"abilities"`
	// HourlyPrice is what an hour costs, agreed when the deployment was created.
	HourlyPrice money.Micros `json:"hourlyPrice"`

	// IPAddress and what follows are known once the machine runs.
	IPAddress  *string `json:"ipAddress"`
	SSHUser    *string `json:"sshUser"`
	SSHPort    *int    `json:"sshPort"`
	SSHCommand *string `json:"sshCommand"`
	// SSHHostKeys are known_hosts lines.
	SSHHostKeys []string `json:"sshHostKeys"`
	SSHKeys     []KeyRef `json:"sshKeys"`
	VolumeIDs   []id.ID  `json:"volumeIds"`
	Tags        []string `json:"tags"`
	Steps       []Step   `json:"steps"`
	CloudInit   bool     `json:"cloudInit"`
	// PendingAction is what the provider is still to be asked for: "reboot", "power-on", "power-off", "reinstall".
	PendingAction *Action `json:"pendingAction"`

	// CostToDate is what was charged less what was refunded.
	CostToDate money.Micros `json:"costToDate"`
	// TerminableAt is the first instant at which a terminate is accepted.
	TerminableAt          time.Time  `json:"terminableAt"`
	AutoTerminateAt       *time.Time `json:"autoTerminateAt"`
	TerminationProtection bool       `json:"terminationProtection"`
	CreatedAt             time.Time  `json:"createdAt"`
	// StartedAt is when SSH first answered and the first hour began.
	StartedAt *time.Time `json:"startedAt"`
	// BilledUntil is the instant to which the tenant pays, known from the accepted terminate on.
	BilledUntil *time.Time `json:"billedUntil"`
	// TerminatedAt is BilledUntil once the status is final.
	TerminatedAt *time.Time `json:"terminatedAt"`
	// DryRun tells that nothing was made: the deployment shows what would be.
	DryRun bool `json:"dryRun,omitempty"`
}

// KeyRef is a public key that may log in.
type KeyRef struct {
	// ID is nil for a key that was given in the request and is not registered.
	ID          *id.ID `json:"id"`
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
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
	CanTerminate bool `json:"canTerminate"`
	// Reason says what is in the way, nil where nothing is.
	Reason           *string   `json:"reason"`
	TerminableAt     time.Time `json:"terminableAt"`
	RemainingSeconds int64     `json:"remainingSeconds"`
	// Refund is what would come back of the hour that is paid, were the deployment terminated at this instant.
	Refund money.Micros `json:"refund"`
	// Release is the hold that would be given back, where the deployment does not run yet.
	Release money.Micros `json:"release"`
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
	minimumRuntime time.Duration
	launchBy       time.Time
	releasedAt     *time.Time
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
	d.SSHHostKeys = []string{}
	if r.address == "" {
		return
	}
	d.IPAddress, d.SSHUser, d.SSHPort = &r.address, &r.sshUser, &r.sshPort
	command, host := "ssh "+r.sshUser+"@"+r.address, r.address
	if r.sshPort != 22 {
		command = fmt.Sprintf("ssh -p %d %s@%s", r.sshPort, r.sshUser, r.address)
		host = "[" + r.address + "]:" + strconv.Itoa(r.sshPort)
	}
	d.SSHCommand = &command
	for _, k := range r.hostKeys {
		d.SSHHostKeys = append(d.SSHHostKeys, host+" "+k)
	}
}

// sshAddress is where the machine's SSH should answer.
func sshAddress(m provider.Machine) string {
	return net.JoinHostPort(m.Address, strconv.Itoa(m.SSHPort))
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
