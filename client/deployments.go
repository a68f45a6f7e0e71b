package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// DeploymentStatus is where a deployment is in its life.
type DeploymentStatus string

// The statuses of a deployment.
const (
	// DeploymentPending is accepted, and not asked of the provider yet.
	DeploymentPending DeploymentStatus = "pending"
	// DeploymentDeploying is being made.
	DeploymentDeploying DeploymentStatus = "deploying"
	// DeploymentRunning answers SSH, and is paid for.
	DeploymentRunning DeploymentStatus = "running"
	// DeploymentStopped is switched off, and still paid for.
	DeploymentStopped DeploymentStatus = "stopped"
	// DeploymentTerminating is being ended, and not paid for any more.
	DeploymentTerminating DeploymentStatus = "terminating"
	// DeploymentTerminated has ended.
	DeploymentTerminated DeploymentStatus = "terminated"
	// DeploymentFailed never came to run, and cost nothing.
	DeploymentFailed DeploymentStatus = "failed"
	// DeploymentInterrupted was taken back by its provider.
	DeploymentInterrupted DeploymentStatus = "interrupted"
)

// Final tells whether no other status follows.
func (s DeploymentStatus) Final() bool {
	return s == DeploymentTerminated || s == DeploymentFailed || s == DeploymentInterrupted
}

// PendingAction is what the provider is still to do with a machine.
type PendingAction string

// What a provider can be asked to do.
const (
	// ActionReboot is a reboot.
	ActionReboot PendingAction = "reboot"
	// ActionPowerOn switches on.
	ActionPowerOn PendingAction = "power-on"
	// ActionPowerOff switches off.
	ActionPowerOff PendingAction = "power-off"
	// ActionReinstall installs an operating system anew.
	ActionReinstall PendingAction = "reinstall"
)

// Step is how far one part of deploying has come.
type Step struct {
	// Name is queued, launching, provisioning or connecting.
	Name string `json:"name"`
	// Status is waiting, active, done or failed.
	Status string `json:"status"`
	// Detail is what the provider says of it; nil for nothing.
	Detail *string `json:"detail"`
	// StartedAt and FinishedAt are nil before.
	StartedAt  *time.Time `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt"`
}

// Attempt is a candidate that failed, or was passed over.
type Attempt struct {
	// OfferID is the offer; Provider and Region are its slugs.
	OfferID  string `json:"offerId"`
	Provider string `json:"provider"`
	Region   string `json:"region"`
	// HourlyPrice is what it would have cost in an hour.
	HourlyPrice Money `json:"hourlyPrice"`
	// Cause is a stable word: no_capacity, rejected, timed_out, lost, or too_expensive. Reason says it in words.
	Cause  string `json:"cause"`
	Reason string `json:"reason"`
	// EndedAt is when it was given up.
	EndedAt time.Time `json:"endedAt"`
}

// SSHKeyReference is a public key that may log in.
type SSHKeyReference struct {
	// ID is of the saved key; nil for one that was only in the request.
	ID *string `json:"id"`
	// Name is what the key is called.
	Name string `json:"name"`
	// Fingerprint is SHA256:…, as ssh-keygen -l shows it.
	Fingerprint string `json:"fingerprint"`
}

// Node is one server of a deployment's machine.
type Node struct {
	// Index is the place of the server in the deployment, from 0.
	Index int `json:"index"`
	// IPAddress and SSHPort are where its SSH answers.
	IPAddress string `json:"ipAddress"`
	SSHPort   int    `json:"sshPort"`
	// PrivateIPAddress is its address on the network that the nodes share; nil where the provider does
	// not state one.
	PrivateIPAddress *string `json:"privateIpAddress"`
	// SSHHostKeys are its host keys, as known_hosts lines.
	SSHHostKeys []string `json:"sshHostKeys"`
}

// How a deployment's host keys came to be known, as its SSHHostKeySource says it.
const (
	// HostKeysStated are those that the provider states.
	HostKeysStated = "provider"
	// HostKeysIssued were made by Billet, given to the machine, and shown by it.
	HostKeysIssued = "issued"
	// HostKeysLearned are what the machine showed when Billet first connected to it.
	HostKeysLearned = "first_connection"
)

// Deployment is a machine of the account, from when it was asked for.
type Deployment struct {
	// ID is dep_…; empty for a dry run.
	ID string `json:"id"`
	// Name is what it is called, 1 to 64 characters.
	Name string `json:"name"`
	// Status is where it is in its life. StatusCause is why, as a stable word; StatusReason is the same in words, nil where there is no more to say.
	Status       DeploymentStatus `json:"status"`
	StatusCause  string           `json:"statusCause"`
	StatusReason *string          `json:"statusReason"`
	// Steps are how far deploying has come.
	Steps []Step `json:"steps"`
	// Attempts are candidates that failed before the offer that it has now, oldest first.
	Attempts []Attempt `json:"attempts"`
	// PendingAction is what the provider is still to do; nil where nothing is.
	PendingAction *PendingAction `json:"pendingAction"`

	// OfferID is the offer that it has now; Provider and Region are slugs. GPUType, GPUCount, InstanceType and OperatingSystem are the machine's.
	OfferID         string       `json:"offerId"`
	Provider        string       `json:"provider"`
	Region          string       `json:"region"`
	GPUType         string       `json:"gpuType"`
	GPUCount        int          `json:"gpuCount"`
	InstanceType    InstanceType `json:"instanceType"`
	OperatingSystem string       `json:"operatingSystem"`
	// CloudInit tells whether it was given a cloud-config.
	CloudInit bool `json:"cloudInit"`
	// Capabilities are what the provider can do with the machine.
	Capabilities Capabilities `json:"capabilities"`

	// IPAddress, SSHPort, SSHUser and SSHCommand say how to log in; nil until SSH answers.
	IPAddress  *string `json:"ipAddress"`
	SSHPort    *int    `json:"sshPort"`
	SSHUser    *string `json:"sshUser"`
	SSHCommand *string `json:"sshCommand"`
	// SSHHostKeys are the machine's own keys, as known_hosts lines; of a deployment with several nodes
	// those of the first. SSHHostKeySource is how they came to be known, nil where there are none.
	SSHHostKeys      []string `json:"sshHostKeys"`
	SSHHostKeySource *string  `json:"sshHostKeySource"`
	// Nodes are the servers of the machine, empty until SSH answers. A CLUSTER has several; the first
	// is the one that IPAddress and SSHPort name.
	Nodes []Node `json:"nodes"`
	// SSHKeys are the public keys that may log in.
	SSHKeys []SSHKeyReference `json:"sshKeys"`
	// VolumeIDs are volumes that are attached, or on their way to or from it.
	VolumeIDs []string `json:"volumeIds"`
	// Tags are words of the account's own.
	Tags []string `json:"tags"`

	// HourlyPrice is what an hour costs, agreed when it was created. CostToDate is what was charged so far, less refunds.
	HourlyPrice Money `json:"hourlyPrice"`
	CostToDate  Money `json:"costToDate"`
	// BilledUntil is to when it is paid for; nil before a terminate was accepted.
	BilledUntil *time.Time `json:"billedUntil"`

	// CreatedAt is when it was asked for.
	CreatedAt time.Time `json:"createdAt"`
	// StartedAt is when SSH first answered and the first hour began; nil before.
	StartedAt *time.Time `json:"startedAt"`
	// TerminableAt is from when on it can be terminated.
	TerminableAt time.Time `json:"terminableAt"`
	// AutoTerminateAt is when it ends by itself; nil for never.
	AutoTerminateAt *time.Time `json:"autoTerminateAt"`
	// TerminatedAt is the same instant as BilledUntil, once the machine has ended; nil before.
	TerminatedAt *time.Time `json:"terminatedAt"`
	// TerminationProtection refuses a terminate while it is true.
	TerminationProtection bool `json:"terminationProtection"`
	// DryRun is true where nothing was made, and this is what would be.
	DryRun bool `json:"dryRun,omitempty"`
}

// Candidate is an offer that would do.
type Candidate struct {
	// OfferID is off_….
	OfferID string `json:"offerId"`
	// OperatingSystem is one of this offer's, where it is another than the request's.
	OperatingSystem string `json:"operatingSystem,omitempty"`
}

// CreateDeployment is what to deploy. Name is required, one of OfferID, Candidates and QuoteID, and one of SSHPublicKey, SSHKeyID and
// SSHKeyIDs. Zero values are not sent.
type CreateDeployment struct {
	// Name is 1 to 64 characters.
	Name string `json:"name"`
	// OfferID is what to launch.
	OfferID string `json:"offerId,omitempty"`
	// Candidates are 1 to 10 offers that would do, in the order in which to try them. One machine comes of it.
	Candidates []Candidate `json:"candidates,omitempty"`
	// QuoteID is a quote: its offer, at its price.
	QuoteID string `json:"quoteId,omitempty"`
	// OperatingSystem is one of the offer's; may be left out where it has one only.
	OperatingSystem string `json:"operatingSystem,omitempty"`

	// Provider, GPUType, GPUCount, Region and InstanceType, where given, must agree with the offer.
	Provider     string       `json:"provider,omitempty"`
	GPUType      string       `json:"gpuType,omitempty"`
	GPUCount     int          `json:"gpuCount,omitempty"`
	Region       string       `json:"region,omitempty"`
	InstanceType InstanceType `json:"instanceType,omitempty"`

	// SSHPublicKey is who may log in, as a line of an authorized_keys file.
	SSHPublicKey string `json:"ssh_public_key,omitempty"`
	// SSHKeyID is a saved key; SSHKeyIDs are 1 to 20 of them.
	SSHKeyID  string   `json:"sshKeyId,omitempty"`
	SSHKeyIDs []string `json:"sshKeyIds,omitempty"`

	// VolumeIDs are up to 8 volumes to attach; they must be of the offer's provider and region.
	VolumeIDs []string `json:"volumeIds,omitempty"`
	// CloudInit is a cloud-config text of up to 64 KiB, where the offer can run it.
	CloudInit string `json:"cloudInit,omitempty"`
	// Tags are up to 20 words of the account's own.
	Tags []string `json:"tags,omitempty"`
	// AutoTerminateAt is when to terminate by itself, after the minimum runtime; zero for never.
	AutoTerminateAt time.Time `json:"autoTerminateAt,omitzero"`
	// MaxHourlyPrice refuses the deploy where the offer has become dearer; nil for no limit.
	MaxHourlyPrice *Money `json:"maxHourlyPrice,omitempty"`
	// DryRun checks everything, money included, and makes nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// UpdateDeployment is what to change. What is left zero stays as it is.
type UpdateDeployment struct {
	// Name is 1 to 64 characters.
	Name string `json:"name,omitempty"`
	// Tags take the place of all tags; an empty list that is not nil takes all away.
	Tags []string `json:"tags,omitzero"`
	// AutoTerminateAt plans an end; Clear takes a planned one back.
	AutoTerminateAt Change[time.Time] `json:"autoTerminateAt,omitzero"`
	// TerminationProtection refuses a terminate while it is true.
	TerminationProtection *bool `json:"terminationProtection,omitempty"`
}

// ReinstallDeployment is what to install.
type ReinstallDeployment struct {
	// EraseLocalDisks must be true: everything on the machine's own disks is erased. Volumes are kept.
	EraseLocalDisks bool `json:"eraseLocalDisks,omitempty"`
	// OperatingSystem is another one of the offer's; the present one if empty.
	OperatingSystem string `json:"operatingSystem,omitempty"`
}

// CanTerminate is whether a terminate would be accepted now.
type CanTerminate struct {
	// CanTerminate tells whether it would.
	CanTerminate bool `json:"canTerminate"`
	// Reason is what is in the way; nil where nothing is.
	Reason *string `json:"reason"`
	// TerminableAt is from when on the minimum runtime is met, RemainingSeconds how long until then; 0 once it is.
	TerminableAt     time.Time `json:"terminableAt"`
	RemainingSeconds int       `json:"remainingSeconds"`
	// Refund is what would come back of the hour that is paid, Release what was set aside and would be given back.
	Refund  Money `json:"refund"`
	Release Money `json:"release"`
}

// DeploymentQuery narrows and orders a list of deployments. Zero values narrow nothing.
type DeploymentQuery struct {
	Paging
	// Statuses are one or more.
	Statuses []DeploymentStatus `query:"status"`
	// Provider and Region are slugs.
	Provider string `query:"provider"`
	Region   string `query:"region"`
	// Tag is one tag that the deployment has.
	Tag string `query:"tag"`
	// Search is a part of the name, whatever the case.
	Search string `query:"search"`
	// Sort is createdAt or name, with a leading hyphen downwards; -createdAt if empty.
	Sort string `query:"sort"`
}

// DeploymentService makes and ends machines. Reading needs the scope deployments:read, the rest deployments:write.
type DeploymentService struct{ c *Client }

func deployment(method, id, below string, body any) request {
	return request{method: method, path: "/deployments/" + id + below, id: id, field: "path.id", body: body}
}

// List returns one page of deployments, newest first, also those that have ended.
func (s *DeploymentService) List(ctx context.Context, q DeploymentQuery, options ...CallOption) (*Page[Deployment], error) {
	return list[Deployment](ctx, s.c, request{path: "/deployments", query: queryOf(q)}, options)
}

// All walks all deployments of the query.
func (s *DeploymentService) All(ctx context.Context, q DeploymentQuery, options ...CallOption) iter.Seq2[Deployment, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Deployment], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(d Deployment) string { return d.ID })
}

// Get returns a deployment as it is now; ErrNotFound where there is none.
func (s *DeploymentService) Get(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodGet, id, "", nil), options)
}

// Create deploys. It answers as soon as the first hour's price is set aside; the machine comes in the background, see WaitForRunning. The errors
// to expect are ErrInvalidRequest, ErrInsufficientBalance, ErrKeyLimitReached, ErrOfferUnavailable, ErrConflict (a price above MaxHourlyPrice)
// and ErrNotFound.
// Each try counts as a deploy, of which a key has 5 a minute.
func (s *DeploymentService) Create(ctx context.Context, in CreateDeployment, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, request{method: http.MethodPost, path: "/deployments", body: in}, options)
}

// Update changes what is given. An update whose answer got lost is sent again, and may undo what somebody else changed in
// these seconds.
func (s *DeploymentService) Update(ctx context.Context, id string, in UpdateDeployment, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPatch, id, "", in), options)
}

// Terminate ends a deployment. The bill ends with the answer, the machine in the background. What has ended already succeeds again.
// ErrMinimumRuntimeNotMet where it is too early; ErrConflict where it is protected.
func (s *DeploymentService) Terminate(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodDelete, id, "", nil), options)
}

// TerminateEarliest ends a deployment as soon as its minimum runtime is met: now, or by an end that is planned for then, which AutoTerminateAt shows.
func (s *DeploymentService) TerminateEarliest(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	r := deployment(http.MethodDelete, id, "", nil)
	r.query = url.Values{"when": {"earliest"}}
	return one[Deployment](ctx, s.c, r, options)
}

// CanTerminate tells whether a terminate would be accepted now, and what would come back.
func (s *DeploymentService) CanTerminate(ctx context.Context, id string, options ...CallOption) (*CanTerminate, error) {
	return one[CanTerminate](ctx, s.c, deployment(http.MethodGet, id, "/can-terminate", nil), options)
}

// Reboot reboots the machine in the background; PendingAction is nil again when it is done. ErrUnsupportedByProvider where the provider cannot.
func (s *DeploymentService) Reboot(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/reboot", nil), options)
}

// PowerOff switches the machine off, in the background. It is kept, and paid for.
func (s *DeploymentService) PowerOff(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/power-off", nil), options)
}

// PowerOn switches the machine on, in the background.
func (s *DeploymentService) PowerOn(ctx context.Context, id string, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/power-on", nil), options)
}

// Reinstall wipes the machine and installs it anew, with its keys, in the background.
func (s *DeploymentService) Reinstall(ctx context.Context, id string, in ReinstallDeployment, options ...CallOption) (*Deployment, error) {
	return one[Deployment](ctx, s.c, deployment(http.MethodPost, id, "/reinstall", in), options)
}

// Events returns one page of what happened to a deployment, oldest first.
func (s *DeploymentService) Events(ctx context.Context, id string, q Paging, options ...CallOption) (*Page[Event], error) {
	r := deployment(http.MethodGet, id, "/events", nil)
	r.query = queryOf(q)
	return list[Event](ctx, s.c, r, options)
}

// AllEvents walks what happened to a deployment, oldest first.
func (s *DeploymentService) AllEvents(ctx context.Context, id string, options ...CallOption) iter.Seq2[Event, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Event], error) { return s.Events(ctx, id, at, options...) },
		func(e Event) string { return e.ID })
}
