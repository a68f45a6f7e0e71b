package provider

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Provider is one source of machines, known by its slug.
type Provider interface {
	// Info returns what does not change while the server runs.
	Info() Info
	// Offers returns everything that the provider sells, sold out or not.
	Offers(ctx context.Context) ([]Offer, error)
	// Launch asks for a machine and returns without waiting for it to be ready. The
	// same request.Reference always means the same machine, unless that has ended and the request is Anew.
	Launch(ctx context.Context, request LaunchRequest) (Machine, error)
	// Machine returns the machine with that reference; KindNotFound where the provider has
	// none, or has none any more.
	Machine(ctx context.Context, reference id.ID) (Machine, error)
	// Machines returns every machine that the account at the provider has and that is not gone.
	Machines(ctx context.Context) ([]Machine, error)
	// Terminate asks for the machine's end and returns without waiting for it. A machine
	// that is gone or never was is success.
	Terminate(ctx context.Context, reference id.ID) error
}

// Rebooter is a provider that can reboot a machine.
type Rebooter interface {
	Reboot(ctx context.Context, reference id.ID) error
}

// Powerer is a provider that can switch a machine off, keeping it and its files, and on again.
type Powerer interface {
	PowerOn(ctx context.Context, reference id.ID) error
	PowerOff(ctx context.Context, reference id.ID) error
}

// Reinstaller is a provider that can wipe a machine and install its operating system anew,
// with the keys that it was launched with.
type Reinstaller interface {
	Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error
}

// CloudInitChecker is a provider that carries out less than every cloud-config.
type CloudInitChecker interface {
	// CheckCloudInit returns what the provider does not carry out of a cloud-config that is valid,
	// a sentence each, with its place in the text. It asks nobody, so that a request can call it.
	CheckCloudInit(text string) []string
}

// Examiner is a provider that can look at its account for what would have launches refused.
type Examiner interface {
	// Examine returns what is in the way, a sentence each; none where nothing is. It changes nothing.
	Examine(ctx context.Context) ([]string, error)
}

// HostKeyTaker is a provider whose machines can be given an SSH host key.
type HostKeyTaker interface {
	// TakesHostKey reports whether a LaunchRequest.HostKey reaches machines of that offer, where it
	// takes cloud-init.
	TakesHostKey(offerKey string) bool
}

// VolumeProvider is a provider with persistent volumes.
type VolumeProvider interface {
	// VolumePricing returns where volumes can be had, at what price, within what sizes.
	VolumePricing(ctx context.Context) ([]VolumePricing, error)
	// CreateVolume asks for a volume. The same request.Reference always means the same volume.
	CreateVolume(ctx context.Context, request VolumeRequest) (Volume, error)
	// Volume returns the volume with that reference; KindNotFound where there is none.
	Volume(ctx context.Context, reference id.ID) (Volume, error)
	// Volumes returns every volume that the account at the provider has and that is not gone.
	Volumes(ctx context.Context) ([]Volume, error)
	// GrowVolume makes the volume larger. A size that it has already is success.
	GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error
	// DeleteVolume deletes the volume and its files. A volume that is gone is success; one that is attached is KindRejected.
	DeleteVolume(ctx context.Context, reference id.ID) error
	// AttachVolume gives the volume to the machine: its files appear there at Volume.MountPath, or its tenant mounts that.
	AttachVolume(ctx context.Context, volume, machine id.ID) error
	// DetachVolume takes the volume from whatever machine has it.
	DetachVolume(ctx context.Context, volume id.ID) error
}

// Info is what a provider says of itself.
type Info struct {
	// Slug is the provider's name in the API: lower-case letters, digits and hyphens.
	Slug string
	// Name is for people.
	Name string
	// Regions names the provider's regions by slug; empty where they come and go with the offers, which name them then.
	Regions []Region
	// LaunchLimit is how long a machine may take from Launch to answering SSH before the deployment is given up.
	LaunchLimit time.Duration
	// MinimumRuntime is the provider's own minimum, 0 for none.
	MinimumRuntime time.Duration
	// SyncEvery is how often its offers should be asked for.
	SyncEvery time.Duration
	// PollEvery is how often a machine that is on its way should be asked about.
	PollEvery time.Duration
	// SettleTime is for how long a Launch or CreateVolume without an answer may still take effect unseen once its request has
	// gone out. Who asks again waits for it to pass, and looks first. 0 where the provider itself makes nothing twice of one reference.
	SettleTime time.Duration
	// PrivateAddresses allows machines whose addresses are not on the Internet: loopback, private
	// and other special networks. It is the operator's choice for each account at a real cloud.
	PrivateAddresses bool
}

// Region is a place of a provider.
type Region struct {
	Slug, Name string
	// Country is an ISO 3166-1 alpha-2 code, or "".
	Country string
}

// InstanceType is the way in which a machine is let.
type InstanceType string

// The instance types of the API.
const (
	BareMetal InstanceType = "BARE_METAL"
	VM        InstanceType = "VM"
	Spot      InstanceType = "SPOT"
	Cluster   InstanceType = "CLUSTER"
)

// Capabilities is what a provider can do with machines of an offer. Each true value needs the interface of that ability.
type Capabilities struct {
	Reboot    bool `json:"reboot" doc:"Whether its machines can be rebooted."`
	Power     bool `json:"power" doc:"Whether its machines can be switched off and on again."`
	Reinstall bool `json:"reinstall" doc:"Whether its machines can be given an operating system anew."`
	Volumes   bool `json:"volumes" doc:"Whether volumes can be attached to its machines."`
	CloudInit bool `json:"cloudInit" doc:"Whether a cloud-init text can be given at the deploy."`
	SingleKey bool `json:"singleKey" doc:"Whether exactly one SSH key can be given at the deploy, and no more."`
}

// Offer is what a provider sells, in one region, at its price now.
type Offer struct {
	// Key names the offer at the provider for ever, unique together with Region. A key that has the form of one of our
	// own offer ids ("off_…") becomes the offer's id.
	Key    string
	Region string
	// RegionName and Country say more of a region that Info does not name; "" where nothing is known.
	RegionName string
	Country    string // ISO 3166-1 alpha-2

	GPUType          string // "NVIDIA B200", or as the provider writes it: the catalogue knows the usual spellings
	GPUCount         int
	GPUMemoryGB      int // of one GPU
	VCPUs            int
	MemoryGB         int
	StorageGB        int
	Interconnect     string // between machines; "" for none or unknown
	InstanceType     InstanceType
	OperatingSystems []string // at least one

	// HourlyPrice is what the provider asks for the whole offer, before the operator's markup.
	HourlyPrice money.Micros
	Available   bool
	// Stock is how many can be had now; nil where the provider does not say.
	Stock        *int
	Capabilities Capabilities
	// MinimumRuntime is this offer's own minimum, where it is longer than Info.MinimumRuntime.
	MinimumRuntime time.Duration
	// LaunchLimit is this offer's own limit, where it is shorter than Info.LaunchLimit; 0 where it is not.
	LaunchLimit time.Duration
}

// LaunchRequest asks for a machine.
type LaunchRequest struct {
	// Reference is our deployment id. It goes upstream as the machine's tag or name.
	Reference id.ID
	// Name is the tenant's, for display upstream; at most 64 characters.
	Name            string
	OfferKey        string
	Region          string
	OperatingSystem string
	// AuthorizedKeys are the public keys that may log in as root, as lines of an authorized_keys file without options.
	AuthorizedKeys []string
	// CloudInit is a #cloud-config text, or "".
	CloudInit string
	// HostKey is what the machine is to show as its SSH host key, at a HostKeyTaker; zero for none.
	HostKey HostKey
	// Anew tells that another offer of this provider was tried under the reference, and that the provider has confirmed the end of what came of it,
	// if anything did: a machine that has ended is not meant. One that has not is, as ever.
	Anew bool
}

// MachineState is where a machine is, in our words.
type MachineState string

// The states of a machine. A machine that is gone has none: asking for it gives KindNotFound, or MachineGone for a while.
const (
	MachineProvisioning MachineState = "provisioning"
	MachineReady        MachineState = "ready" // switched on, with an address
	MachineOff          MachineState = "off"
	MachineTerminating  MachineState = "terminating"
	MachineFailed       MachineState = "failed" // never became ready, and will not
	MachineLost         MachineState = "lost"   // taken back by the provider, or broken
	MachineGone         MachineState = "gone"
)

// Machine is the provider's side of a deployment.
type Machine struct {
	// ID is the provider's own name for it.
	ID string
	// Reference is the deployment id that Launch was given; "" for a machine that is not ours.
	Reference id.ID
	State     MachineState
	// Detail says more where State alone does not, for the tenant to read: "waiting for the operating system".
	Detail string
	// Address, SSHUser and SSHPort are set once the machine is ready.
	Address string
	SSHUser string
	SSHPort int
	// SSHHostKeys are known_hosts lines without the host part ("ssh-ed25519 AAAA…"), where the
	// provider states them.
	SSHHostKeys []string
	// Nodes are the servers of a machine that has several, in the provider's order; nil for a
	// machine of one server. The first is the one that Address and SSHPort name.
	Nodes []Node
	// Unhealthy reports that the provider calls a ready machine broken for now. It is not waited
	// for long where it never ran, and left alone where it did.
	Unhealthy bool
	// HourlyCost is what the provider states that this machine costs an hour, before the operator's
	// markup; 0 where it does not say.
	HourlyCost money.Micros
	CreatedAt  time.Time
}

// Node is one server of a machine that has several.
type Node struct {
	Address string
	// PrivateAddress is its address on the network that the nodes share; "" where that is not known.
	PrivateAddress string
	SSHPort        int
	// SSHHostKeys are as those of Machine.
	SSHHostKeys []string
}

// VolumePricing is where volumes can be had and what they cost.
type VolumePricing struct {
	Region string
	// PerGBHour is the price of a decimal GB for an hour, before the operator's markup.
	PerGBHour            money.Micros
	MinSizeGB, MaxSizeGB int64
}

// VolumeRequest asks for a volume.
type VolumeRequest struct {
	// Reference is our volume id.
	Reference id.ID
	Name      string
	Region    string
	SizeGB    int64
}

// Volume is the provider's side of a volume.
type Volume struct {
	// ID is the provider's own name for it.
	ID string
	// Reference is the volume id that CreateVolume was given; "" for a volume that is not ours.
	Reference id.ID
	// Ready tells that the volume can be attached.
	Ready bool
	// Failed tells that it never will be.
	Failed bool
	SizeGB int64
	// AttachedTo is the reference of the machine that has it, or "".
	AttachedTo id.ID
	// MountPath is where its files appear in a machine; or, where only the tenant can mount it, what he mounts: "10.9.0.5:/share", which is NFS;
	// "" where neither is known.
	MountPath string
}
