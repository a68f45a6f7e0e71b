package deployment

import (
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// MinimumRuntime is the minimum runtime of the specification. A provider's own longer minimum wins.
const MinimumRuntime = 25 * time.Minute

// MinimumBalance is what must be available in the wallet to deploy, from the specification.
const MinimumBalance = 50 * money.USD

// Deployment is a tenant's machine through its life, as the API shows it.
type Deployment struct {
	ID           id.ID   `json:"id" doc:"Id of the deployment, dep_…; empty for a dry run."`
	Account      id.ID   `json:"-"`
	Name         string  `json:"name" doc:"Name of the deployment."`
	Status       Status  `json:"status" doc:"Status of the deployment; terminated, failed and interrupted are final."`
	StatusCause  Cause   `json:"statusCause" doc:"Why the deployment has this status, as a stable identifier."`
	StatusReason *string `json:"statusReason" doc:"Description of the cause; null if there is nothing to add."`

	Provider        string                `json:"provider" doc:"Slug of the provider."`
	OfferID         id.ID                 `json:"offerId" doc:"Id of the offer."`
	GPUType         string                `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUCount        int                   `json:"gpuCount" doc:"Number of GPUs in the machine."`
	Region          string                `json:"region" doc:"Slug of the region."`
	OperatingSystem string                `json:"operatingSystem" doc:"Installed operating system: one of the offer's, or the name of the account's image."`
	ImageID         *id.ID                `json:"imageId" doc:"Id of the account's own image that is installed, img_…, which may have been deleted since; null for an operating system of the offer."`
	InstanceType    provider.InstanceType `json:"instanceType" doc:"BARE_METAL, VM, SPOT (the provider can reclaim it) or CLUSTER (several servers)."`
	Capabilities    provider.Capabilities `json:"capabilities" doc:"What the provider can do with the machine."`
	HourlyPrice     money.Micros          `json:"hourlyPrice" doc:"US dollars per hour, agreed when the deployment was created."`

	// IPAddress and the other SSH fields are set while the machine runs, and until the end.
	IPAddress        *string         `json:"ipAddress" doc:"IP address of the SSH server; null until it answers."`
	SSHUser          *string         `json:"sshUser" doc:"User to log in as."`
	SSHPort          *int            `json:"sshPort" doc:"Port of the SSH server."`
	SSHCommand       *string         `json:"sshCommand" doc:"Command that logs in."`
	SSHHostKeys      []string        `json:"sshHostKeys" doc:"SSH host keys of the machine (of the first node), as known_hosts lines."`
	SSHHostKeySource *HostKeySource  `json:"sshHostKeySource" doc:"How the host keys are known: provider (stated by the provider), issued (created by Billet, given to the machine and verified) or first_connection (shown by the machine when Billet first connected); null if there are none."`
	Nodes            []Node          `json:"nodes" doc:"Servers of the machine, in the provider's order; empty until SSH answers. ipAddress and sshPort are the first one's. A CLUSTER has several."`
	SSHKeys          []KeyRef        `json:"sshKeys" doc:"Authorized SSH keys."`
	VolumeIDs        []id.ID         `json:"volumeIds" doc:"Ids of the volumes that are attached, attaching or detaching."`
	Tags             []string        `json:"tags" doc:"Tags of the deployment."`
	Steps            []step.Step     `json:"steps" doc:"Deployment progress."`
	Project          *string         `json:"project" doc:"Project of the deployment; null for none."`
	CreatedBy        creator.Creator `json:"createdBy" doc:"Who created the deployment."`
	// Attempts are the candidates before the present one, oldest first.
	Attempts      []Attempt `json:"attempts" doc:"Candidates that failed or were skipped before the present offer, oldest first."`
	Health        Health    `json:"health" doc:"Check of the GPUs: the policy, and the newest verdict."`
	CloudInit     bool      `json:"cloudInit" doc:"Whether the machine was given a cloud-config."`
	PendingAction *Action   `json:"pendingAction" doc:"Action that the provider has not performed yet: reboot, power-on, power-off, reinstall, rescue or end-rescue; null if there is none."`
	Rescue        bool      `json:"rescue" doc:"Whether the machine runs its rescue system, or starts it, instead of what is installed on its drives."`

	CostToDate money.Micros `json:"costToDate" doc:"US dollars charged so far, net of refunds."`
	// TerminableAt is the first instant at which a terminate is accepted.
	TerminableAt    time.Time  `json:"terminableAt" doc:"Earliest time at which the deployment can be terminated."`
	AutoTerminateAt *time.Time `json:"autoTerminateAt" doc:"Time at which the deployment is terminated automatically; null for never."`
	// MaxSpend and MaxRuntimeMinutes end the deployment like AutoTerminateAt.
	MaxSpend              *money.Micros `json:"maxSpend" doc:"US dollars that the deployment may cost: it ends before an hour begins that would pass them. null for no limit."`
	MaxRuntimeMinutes     *int64        `json:"maxRuntimeMinutes" doc:"Minutes after startedAt at which the deployment ends; null for no limit."`
	EndsAt                *time.Time    `json:"endsAt" doc:"Time at which the deployment ends by autoTerminateAt, maxRuntimeMinutes or maxSpend, whichever is first; null if none of them is set, before startedAt is known, and once the deployment is ending."`
	TerminationProtection bool          `json:"terminationProtection" doc:"Whether requests to terminate the deployment are refused."`
	CreatedAt             time.Time     `json:"createdAt" doc:"When the deployment was created."`
	StartedAt             *time.Time    `json:"startedAt" doc:"When SSH first answered and the first hour began; null before."`
	BilledUntil           *time.Time    `json:"billedUntil" doc:"End of the billed time, known once the termination is accepted; null before."`
	// TerminatedAt is BilledUntil once the status is final.
	TerminatedAt *time.Time `json:"terminatedAt" doc:"billedUntil once the machine has ended; null before."`
	DryRun       bool       `json:"dryRun,omitempty" doc:"true for a dry run: nothing was created."`
	Estimate     *Estimate  `json:"estimate,omitempty" doc:"Expected cost, refunds and end; only in the answer of a dry run."`
}

// KeyRef is a public key that may log in.
type KeyRef struct {
	ID          *id.ID `json:"id" doc:"Id of the saved key, ssh_…; null for a key that was given with the request."`
	Name        string `json:"name" doc:"Name of the key."`
	Fingerprint string `json:"fingerprint" doc:"SHA256 fingerprint, as ssh-keygen -l prints it."`
}
