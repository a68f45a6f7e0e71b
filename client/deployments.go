package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// DeploymentStatus is the status of a deployment.
type DeploymentStatus string

// The statuses of a deployment.
const (
	// DeploymentPending is accepted but not yet requested from the provider.
	DeploymentPending DeploymentStatus = "pending"
	// DeploymentDeploying is starting.
	DeploymentDeploying DeploymentStatus = "deploying"
	// DeploymentRunning is reachable over SSH and billed.
	DeploymentRunning DeploymentStatus = "running"
	// DeploymentStopped is powered off and still billed.
	DeploymentStopped DeploymentStatus = "stopped"
	// DeploymentTerminating is being terminated and no longer billed.
	DeploymentTerminating DeploymentStatus = "terminating"
	// DeploymentTerminated was terminated.
	DeploymentTerminated DeploymentStatus = "terminated"
	// DeploymentFailed failed to start and cost nothing.
	DeploymentFailed DeploymentStatus = "failed"
	// DeploymentInterrupted was reclaimed by its provider.
	DeploymentInterrupted DeploymentStatus = "interrupted"
)

// Final reports whether the status is final.
func (s DeploymentStatus) Final() bool {
	return s == DeploymentTerminated || s == DeploymentFailed || s == DeploymentInterrupted
}

// PendingAction is an action on a machine that is in progress.
type PendingAction string

// The actions on a machine.
const (
	// ActionReboot reboots.
	ActionReboot PendingAction = "reboot"
	// ActionPowerOn powers on.
	ActionPowerOn PendingAction = "power-on"
	// ActionPowerOff powers off.
	ActionPowerOff PendingAction = "power-off"
	// ActionReinstall reinstalls the operating system.
	ActionReinstall PendingAction = "reinstall"
	// ActionRescue starts the rescue system.
	ActionRescue PendingAction = "rescue"
	// ActionEndRescue starts from the drive again.
	ActionEndRescue PendingAction = "end-rescue"
)

// Step is the progress of one part of a deployment.
type Step struct {
	// Name is queued, launching, provisioning or connecting.
	Name string `json:"name"`
	// Status is waiting, active, done or failed.
	Status string `json:"status"`
	// Detail is the provider's description; nil if there is none.
	Detail *string `json:"detail"`
	// StartedAt and FinishedAt are nil until then.
	StartedAt  *time.Time `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
}

// Attempt is a candidate that failed or was skipped.
type Attempt struct {
	// OfferID is the offer, Provider and Region its slugs.
	OfferID  string `json:"offerId"`
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// HourlyPrice is the price of the candidate.
	HourlyPrice Money `json:"hourlyPrice"`
	// Cause is a stable code: no_capacity, rejected, timed_out, lost or too_expensive. Reason is
	// the text for users.
	Cause  string `json:"cause"`
	Reason string `json:"reason"`
	// EndedAt is when the attempt ended.
	EndedAt time.Time `json:"endedAt"`
}

// SSHKeyReference is an authorized public key.
type SSHKeyReference struct {
	// ID is the id of the saved key; nil for a key that was only in the request.
	ID *string `json:"id"`
	// Name is the name of the key.
	Name string `json:"name"`
	// Fingerprint has the form SHA256:…, as ssh-keygen -l prints it.
	Fingerprint string `json:"fingerprint"`
}

// Node is one server of a deployment.
type Node struct {
	// Index is the number of the node, from 0.
	Index int `json:"index"`
	// IPAddress and SSHPort are the SSH address.
	IPAddress string `json:"ipAddress"`
	SSHPort   int    `json:"sshPort"`
	// PrivateIPAddress is the address in the network of the nodes; nil if the provider does not
	// report it.
	PrivateIPAddress *string `json:"privateIpAddress"`
	// SSHHostKeys are the host keys, as known_hosts lines.
	SSHHostKeys []string `json:"sshHostKeys"`
}

// The sources of host keys.
const (
	// HostKeysStated were reported by the provider.
	HostKeysStated = "provider"
	// HostKeysIssued were created by Billet and installed on the machine.
	HostKeysIssued = "issued"
	// HostKeysLearned were recorded when Billet first connected.
	HostKeysLearned = "first_connection"
)

// Deployment is a machine of the account.
type Deployment struct {
	// ID has the form dep_…; empty for a dry run.
	ID string `json:"id"`
	// Name is 1 to 64 characters.
	Name string `json:"name"`
	// Status is the status. StatusCause is its cause, a stable code; StatusReason is the text for
	// users, nil if there is none.
	Status       DeploymentStatus `json:"status"`
	StatusCause  string           `json:"statusCause"`
	StatusReason *string          `json:"statusReason"`
	// Steps are the progress of the deployment.
	Steps []Step `json:"steps"`
	// Attempts are the candidates that failed before the current offer, oldest first.
	Attempts []Attempt `json:"attempts"`
	// PendingAction is the action in progress; nil if there is none.
	PendingAction *PendingAction `json:"pendingAction"`
	// Rescue reports whether the machine runs its rescue system, or starts it.
	Rescue bool `json:"rescue"`

	// OfferID is the current offer; Provider and Region are slugs. GPUType, GPUCount, InstanceType
	// and OperatingSystem describe the machine.
	OfferID         string       `json:"offerId"`
	Provider        string       `json:"provider"`
	Region          string       `json:"region"`
	GPUType         string       `json:"gpuType"`
	GPUCount        int          `json:"gpuCount"`
	InstanceType    InstanceType `json:"instanceType"`
	OperatingSystem string       `json:"operatingSystem"`
	// ImageID is the account's own image that is installed; nil for an operating system of the
	// offer.
	ImageID *string `json:"imageId"`
	// Health is what is known of its GPUs.
	Health DeploymentHealth `json:"health"`
	// CloudInit reports whether it has a cloud-config.
	CloudInit bool `json:"cloudInit"`
	// Capabilities are the actions that the provider supports.
	Capabilities Capabilities `json:"capabilities"`

	// IPAddress, SSHPort, SSHUser and SSHCommand are how to connect; nil until SSH is reachable.
	IPAddress  *string `json:"ipAddress"`
	SSHPort    *int    `json:"sshPort"`
	SSHUser    *string `json:"sshUser"`
	SSHCommand *string `json:"sshCommand"`
	// SSHHostKeys are the host keys, as known_hosts lines; with several nodes, those of the first.
	// SSHHostKeySource is their source; nil if there are none.
	SSHHostKeys      []string `json:"sshHostKeys"`
	SSHHostKeySource *string  `json:"sshHostKeySource"`
	// Nodes are the servers of the machine, empty until SSH is reachable. A CLUSTER has several;
	// IPAddress and SSHPort are those of the first.
	Nodes []Node `json:"nodes"`
	// SSHKeys are the authorized public keys.
	SSHKeys []SSHKeyReference `json:"sshKeys"`
	// VolumeIDs are volumes that are attached, being attached or being detached.
	VolumeIDs []string `json:"volumeIds"`
	// Tags are the account's own labels.
	Tags []string `json:"tags"`
	// Project is the project; nil for none.
	Project *string `json:"project"`
	// CreatedBy is who created the deployment.
	CreatedBy Creator `json:"createdBy"`

	// HourlyPrice is the price per hour, locked at creation. CostToDate is the total cost, net of
	// refunds.
	HourlyPrice Money `json:"hourlyPrice"`
	CostToDate  Money `json:"costToDate"`
	// BilledUntil is the end of billing; nil until a terminate was accepted.
	BilledUntil *time.Time `json:"billedUntil"`

	// CreatedAt is when it was requested.
	CreatedAt time.Time `json:"createdAt"`
	// StartedAt is when SSH was first reachable and billing started; nil until then.
	StartedAt *time.Time `json:"startedAt"`
	// TerminableAt is when its minimum runtime is met.
	TerminableAt time.Time `json:"terminableAt"`
	// AutoTerminateAt is when it auto-terminates; nil means never.
	AutoTerminateAt *time.Time `json:"autoTerminateAt"`
	// MaxSpend is what it may cost: it ends before an hour begins that would pass it.
	// MaxRuntimeMinutes is how long it may run, from StartedAt. Nil means no limit.
	MaxSpend          *Money `json:"maxSpend"`
	MaxRuntimeMinutes *int   `json:"maxRuntimeMinutes"`
	// EndsAt is when the first of AutoTerminateAt, MaxRuntimeMinutes and MaxSpend ends it; nil if
	// none is set or that is not known yet.
	EndsAt *time.Time `json:"endsAt"`
	// TerminatedAt is the same time as BilledUntil, once the machine has ended; nil until then.
	TerminatedAt *time.Time `json:"terminatedAt"`
	// TerminationProtection rejects a terminate while it is true.
	TerminationProtection bool `json:"terminationProtection"`
	// DryRun is true if nothing was created.
	DryRun bool `json:"dryRun,omitempty"`
	// Estimate is what it would cost; only for a dry run.
	Estimate *Estimate `json:"estimate,omitempty"`
}

// Estimate is what a deployment would cost, as far as that is known before it runs. Its times
// assume that SSH is reachable at once.
type Estimate struct {
	// HourlyPrice is the price per hour of the first candidate, Hold what is put on hold.
	HourlyPrice Money `json:"hourlyPrice"`
	Hold        Money `json:"hold"`
	// EarliestEnd is when the minimum runtime is met.
	EarliestEnd time.Time `json:"earliestEnd"`
	// Refunds are what ending it at some times of the first hour refunds.
	Refunds []EstimatedRefund `json:"refunds"`
	// BindingLimit is what would terminate it first; nil if nothing would.
	BindingLimit *BindingLimit `json:"bindingLimit"`
}

// EstimatedRefund is what an end at that time refunds.
type EstimatedRefund struct {
	// At is the time of the end, Amount what is refunded.
	At     time.Time `json:"at"`
	Amount Money     `json:"amount"`
}

// BindingLimit is the limit that terminates a deployment first.
type BindingLimit struct {
	// Limit is autoTerminateAt, maxRuntimeMinutes, maxSpend, budget or balance; At is when it would
	// terminate it, or for balance, when the account becomes past due.
	Limit Limit     `json:"limit"`
	At    time.Time `json:"at"`
}

// Limit is what terminates a deployment: a field of its request, a budget or the balance.
type Limit string

// The limits.
const (
	LimitAutoTerminate Limit = "autoTerminateAt"
	LimitMaxRuntime    Limit = "maxRuntimeMinutes"
	LimitMaxSpend      Limit = "maxSpend"
	LimitBudget        Limit = "budget"
	LimitBalance       Limit = "balance"
)

// Candidate is an acceptable offer.
type Candidate struct {
	// OfferID has the form off_….
	OfferID string `json:"offerId"`
	// OperatingSystem overrides that of the request for this offer.
	OperatingSystem string `json:"operatingSystem,omitempty"`
}

// CreateDeployment is a deployment to create. Required are Name, one of OfferID, Candidates and
// QuoteID, and one of SSHPublicKey, SSHKeyID and SSHKeyIDs. Zero values are not sent.
type CreateDeployment struct {
	// Name is 1 to 64 characters.
	Name string `json:"name"`
	// OfferID is the offer to deploy.
	OfferID string `json:"offerId,omitempty"`
	// Candidates are 1 to 10 acceptable offers, tried in this order. One machine is created.
	Candidates []Candidate `json:"candidates,omitempty"`
	// QuoteID is a quote, which determines the offer and the price.
	QuoteID string `json:"quoteId,omitempty"`
	// OperatingSystem is one of the offer's; optional if it has only one.
	OperatingSystem string `json:"operatingSystem,omitempty"`
	// ImageID is one of the account's own images instead.
	ImageID string `json:"imageId,omitempty"`

	// Provider, GPUType, GPUCount, Region and InstanceType must match the offer, if they are set.
	Provider     string       `json:"provider,omitempty"`
	GPUType      string       `json:"gpuType,omitempty"`
	GPUCount     int          `json:"gpuCount,omitempty"`
	Region       string       `json:"region,omitempty"`
	InstanceType InstanceType `json:"instanceType,omitempty"`

	// SSHPublicKey is the key to authorize, as a line of an authorized_keys file.
	SSHPublicKey string `json:"ssh_public_key,omitempty"`
	// SSHKeyID is a saved key to authorize; SSHKeyIDs are 1 to 20 of them.
	SSHKeyID  string   `json:"sshKeyId,omitempty"`
	SSHKeyIDs []string `json:"sshKeyIds,omitempty"`

	// VolumeIDs are up to 8 volumes to attach, in the offer's provider and region.
	VolumeIDs []string `json:"volumeIds,omitempty"`
	// CloudInit is a cloud-config of up to 64 KiB, if the offer supports it.
	CloudInit string `json:"cloudInit,omitempty"`
	// Tags are up to 20 labels.
	Tags []string `json:"tags,omitempty"`
	// Project is 1 to 64 characters; "" means none, or that of the API key.
	Project string `json:"project,omitempty"`
	// AutoTerminateAt is when to auto-terminate, after the minimum runtime; zero means never.
	AutoTerminateAt time.Time `json:"autoTerminateAt,omitzero"`
	// MaxSpend is what it may cost: it ends before an hour begins that would pass it. Nil means no
	// limit.
	MaxSpend *Money `json:"maxSpend,omitempty"`
	// MaxRuntimeMinutes ends it after that time, at least the minimum runtime; 0 means no limit.
	MaxRuntimeMinutes int `json:"maxRuntimeMinutes,omitempty"`
	// MaxHourlyPrice rejects the deploy if the price is higher; nil means no limit.
	MaxHourlyPrice *Money `json:"maxHourlyPrice,omitempty"`
	// HealthAccess is how long Billet's key for GPU checks stays; "" means HealthAtLaunch.
	HealthAccess HealthAccess `json:"healthAccess,omitempty"`
	// DryRun validates everything, including the balance, and creates nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// UpdateDeployment has the changes to a deployment. Zero values change nothing.
type UpdateDeployment struct {
	// Name is 1 to 64 characters.
	Name string `json:"name,omitempty"`
	// Tags replace all tags; an empty, non-nil list removes them.
	Tags []string `json:"tags,omitzero"`
	// Project sets the project; Clear removes it.
	Project Change[string] `json:"project,omitzero"`
	// AutoTerminateAt sets the auto-terminate time; Clear removes it.
	AutoTerminateAt Change[time.Time] `json:"autoTerminateAt,omitzero"`
	// MaxSpend sets what it may cost, MaxRuntimeMinutes how long it may run; Clear removes the
	// limit.
	MaxSpend          Change[Money] `json:"maxSpend,omitzero"`
	MaxRuntimeMinutes Change[int]   `json:"maxRuntimeMinutes,omitzero"`
	// TerminationProtection rejects a terminate while it is true.
	TerminationProtection *bool `json:"terminationProtection,omitempty"`
}

// ReinstallDeployment has the options of a reinstall.
type ReinstallDeployment struct {
	// EraseLocalDisks must be true: the local disks are erased. Volumes are kept.
	EraseLocalDisks bool `json:"eraseLocalDisks,omitempty"`
	// OperatingSystem is one of the offer's, and ImageID one of the account's own images. Without
	// both, what is installed is installed again.
	OperatingSystem string `json:"operatingSystem,omitempty"`
	ImageID         string `json:"imageId,omitempty"`
}

// CanTerminate is a preview of a terminate.
type CanTerminate struct {
	// CanTerminate reports whether a terminate would be accepted now.
	CanTerminate bool `json:"canTerminate"`
	// Reason is why not; nil if it would.
	Reason *string `json:"reason"`
	// TerminableAt is when the minimum runtime is met. RemainingSeconds is the time until then, 0
	// once it is met.
	TerminableAt     time.Time `json:"terminableAt"`
	RemainingSeconds int       `json:"remainingSeconds"`
	// Refund is the part of the current hour that would be refunded, Release the hold that would be
	// released.
	Refund  Money `json:"refund"`
	Release Money `json:"release"`
	// RefundNextMinute is the refund of a terminate in one minute, FinalBill the total cost after a
	// terminate now.
	RefundNextMinute Money `json:"refundNextMinute"`
	FinalBill        Money `json:"finalBill"`
}

// DeploymentQuery filters and sorts a list of deployments. Zero values filter nothing.
type DeploymentQuery struct {
	Paging
	// Name is the whole name, case-insensitive.
	Name string `query:"name"`
	// Statuses are the accepted statuses.
	Statuses []DeploymentStatus `query:"status"`
	// Provider and Region are slugs.
	Provider string `query:"provider"`
	Region   string `query:"region"`
	// GPUType is the GPU type.
	GPUType string `query:"gpuType"`
	// Tag is a tag of the deployment, Project its project.
	Tag     string `query:"tag"`
	Project string `query:"project"`
	// CreatedBy is the id of the user or API key that created it.
	CreatedBy string `query:"createdBy"`
	// Search is part of the name, a tag, the address or the id, in any case.
	Search string `query:"search"`
	// Sort has one or more of createdAt, name, hourlyPrice and costToDate, separated by commas,
	// each prefixed with a hyphen for descending; "" means -createdAt.
	Sort string `query:"sort"`
}

// DeploymentService manages deployments. Reading needs the scope deployments:read, changes need
// deployments:write.
type DeploymentService struct{ c *Client }

func deployment(method, id, below string, body any) request {
	return request{method: method, path: "/deployments/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of deployments, newest first, including ended ones.
func (s *DeploymentService) List(
	ctx context.Context,
	q DeploymentQuery,
	options ...CallOption,
) (*Page[Deployment], error) {
	return list[Deployment](ctx, s.c, request{path: "/deployments", query: queryOf(q)}, options)
}

// All iterates over the deployments of all pages.
func (s *DeploymentService) All(
	ctx context.Context,
	q DeploymentQuery,
	options ...CallOption,
) iter.Seq2[Deployment, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Deployment], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(d Deployment) string { return d.ID })
}

// Get returns a deployment. The error is ErrNotFound if there is none.
func (s *DeploymentService) Get(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodGet, id, "", nil), options)
}

// Create creates a deployment. It returns once the hold for the first hour is placed; the machine
// starts in the background, see WaitForRunning. Errors are ErrInvalidRequest,
// ErrInsufficientBalance, ErrKeyLimitReached, ErrOfferUnavailable, ErrConflict (a price above
// MaxHourlyPrice) and ErrNotFound. Each attempt counts as a deploy, of which a key has 5 per minute
// by default.
func (s *DeploymentService) Create(
	ctx context.Context,
	in CreateDeployment,
	options ...CallOption,
) (*Deployment, error) {
	return one[Deployment](ctx, s.c, request{method: http.MethodPost, path: "/deployments", body: in}, options)
}

// Update changes a deployment. If the response is lost, the update is sent again and can overwrite
// a concurrent change.
func (s *DeploymentService) Update(
	ctx context.Context,
	id string,
	in UpdateDeployment,
	options ...CallOption,
) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPatch, id, "", in), options)
}

// Terminate terminates a deployment. Billing ends with the response; the machine is deleted in the
// background. It succeeds for a deployment that has already ended. The error is
// ErrMinimumRuntimeNotMet if it is too early, ErrConflict if it is protected.
func (s *DeploymentService) Terminate(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodDelete, id, "", nil), options)
}

// TerminateEarliest terminates a deployment as soon as its minimum runtime is met: now, or by
// setting AutoTerminateAt.
func (s *DeploymentService) TerminateEarliest(
	ctx context.Context,
	id string,
	options ...CallOption,
) (*Deployment, error) {
	r := deployment(http.MethodDelete, id, "", nil)
	r.query = url.Values{"when": {"earliest"}}
	return one[Deployment](ctx, s.c, r, options)
}

// CanTerminate returns whether a terminate would be accepted now, and the refund.
func (s *DeploymentService) CanTerminate(ctx context.Context, id string, options ...CallOption) (*CanTerminate, error) {
	return one[CanTerminate](ctx, s.c, deployment(http.MethodGet, id, "/can-terminate", nil), options)
}

// Reboot reboots the machine in the background. PendingAction is nil when it is done. The error is
// ErrUnsupportedByProvider if the provider does not support it.
func (s *DeploymentService) Reboot(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/reboot", nil), options)
}

// Rescue restarts the machine with its rescue system in the background. Billing continues. The
// error is ErrUnsupportedByProvider if the provider does not support it.
func (s *DeploymentService) Rescue(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/rescue", nil), options)
}

// EndRescue starts a machine in rescue from its drive in the background.
func (s *DeploymentService) EndRescue(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/end-rescue", nil), options)
}

// PowerOff powers the machine off in the background. Billing continues.
func (s *DeploymentService) PowerOff(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/power-off", nil), options)
}

// PowerOn powers the machine on in the background.
func (s *DeploymentService) PowerOn(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/power-on", nil), options)
}

// Reinstall erases the local disks and reinstalls the operating system with the same SSH keys, in
// the background.
func (s *DeploymentService) Reinstall(
	ctx context.Context,
	id string,
	in ReinstallDeployment,
	options ...CallOption,
) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/reinstall", in), options)
}

// Events returns one page of the events of a deployment, oldest first.
func (s *DeploymentService) Events(
	ctx context.Context,
	id string,
	q Paging,
	options ...CallOption,
) (*Page[Event], error) {
	r := deployment(http.MethodGet, id, "/events", nil)
	r.query = queryOf(q)
	return list[Event](ctx, s.c, r, options)
}

// AllEvents iterates over the events of a deployment, oldest first.
func (s *DeploymentService) AllEvents(ctx context.Context, id string, options ...CallOption) iter.Seq2[Event, error] {
	return all(ctx, Paging{},
		func(ctx context.Context, at Paging) (*Page[Event], error) { return s.Events(ctx, id, at, options...) },
		func(e Event) string { return e.ID })
}
