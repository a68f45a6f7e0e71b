package provider

import (
	"context"
	"io"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Provider is one source of machines, known by its slug.
type Provider interface {
	// Info returns what does not change while the server runs.
	Info() Info
	// Offers returns all offers, including those that are sold out.
	Offers(ctx context.Context) ([]Offer, error)
	// Launch requests a machine and returns without waiting for it to be ready. The same
	// request.Reference always means the same machine, unless that has ended and IgnoreEnded is
	// set.
	Launch(ctx context.Context, request LaunchRequest) (Machine, error)
	// Machine returns the machine with that reference; KindNotFound where the provider has none, or
	// no longer has it.
	Machine(ctx context.Context, reference id.ID) (Machine, error)
	// Machines returns every machine of the account at the provider that is not gone.
	Machines(ctx context.Context) ([]Machine, error)
	// Terminate requests the machine's end and returns without waiting for it. It succeeds where
	// the machine is gone or never existed.
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

// Reinstaller is a provider that can wipe a machine and reinstall its operating system, with the
// keys of its launch.
type Reinstaller interface {
	Reinstall(ctx context.Context, reference id.ID, operatingSystem string) error
}

// Rescuer is a provider that can start a machine with a rescue system: SSH with the keys of its
// launch, and its drives as they are. Power, reboot and reinstallation end it, too.
type Rescuer interface {
	Rescue(ctx context.Context, reference id.ID) error
	// EndRescue starts the machine from its drive. It succeeds where the machine is not in rescue.
	EndRescue(ctx context.Context, reference id.ID) error
}

// Consoler is a provider whose machines have a serial console.
type Consoler interface {
	// HasConsole returns nil while the console of that machine is its tenant's, and else
	// KindNotFound, KindUnsupported, or KindRejected if it is not available now. It sends no
	// request, so an API request can call it.
	HasConsole(ctx context.Context, reference id.ID) error
	// OpenConsole connects to the console. What is written is typed on it. The context is for
	// connecting only.
	OpenConsole(ctx context.Context, reference id.ID) (io.ReadWriteCloser, error)
}

// ImageReinstaller is a provider that can install machines with a tenant's own image: at a Launch
// with LaunchRequest.Image, and later.
type ImageReinstaller interface {
	Reinstaller
	// ReinstallImage is Reinstall with an image instead of an operating system.
	ReinstallImage(ctx context.Context, reference id.ID, image Image) error
}

// ImageFormat is how an image's file represents a disk.
type ImageFormat string

// The formats of images.
const (
	ImageRaw   ImageFormat = "raw"
	ImageQCOW2 ImageFormat = "qcow2"
)

// Enum lists every format.
func (ImageFormat) Enum() []ImageFormat { return []ImageFormat{ImageRaw, ImageQCOW2} }

// Image is a tenant's disk image. Nothing about it is trusted: who downloads it connects to public
// addresses only, and no machine starts from it before its SHA-256 has matched.
type Image struct {
	ID     id.ID       `json:"id"`
	Name   string      `json:"name"`
	URL    string      `json:"url"` // of HTTPS
	SHA256 string      `json:"sha256"`
	Format ImageFormat `json:"format"`
	Bytes  int64       `json:"bytes"`
}

// CloudInitChecker is a provider that supports only parts of cloud-config.
type CloudInitChecker interface {
	// CheckCloudInit returns the parts of a valid cloud-config that the provider does not support,
	// a sentence each, with its position in the text. It sends no request, so an API request can
	// call it.
	CheckCloudInit(text string) []string
}

// Examiner is a provider that can check its account for what would make launches fail.
type Examiner interface {
	// Examine returns the problems, a sentence each. It changes nothing.
	Examine(ctx context.Context) ([]string, error)
}

// HostKeyTaker is a provider whose machines can be given an SSH host key.
type HostKeyTaker interface {
	// TakesHostKey reports whether a LaunchRequest.HostKey reaches machines of that offer, where
	// the offer supports cloud-init.
	TakesHostKey(offerKey string) bool
}

// KeyForgetter is a provider that keeps SSH keys as things of its own, beyond the machine that they
// were for.
type KeyForgetter interface {
	// ForgetKey deletes the key of that line of an authorized_keys file. It returns nil where there
	// is none. It is for keys that were made for one machine, which has ended.
	ForgetKey(ctx context.Context, line string) error
}

// VolumeProvider is a provider with persistent volumes.
type VolumeProvider interface {
	// VolumePricing returns the regions with volumes, their prices and sizes.
	VolumePricing(ctx context.Context) ([]VolumePricing, error)
	// CreateVolume requests a volume. The same request.Reference always means the same volume.
	CreateVolume(ctx context.Context, request VolumeRequest) (Volume, error)
	// Volume returns the volume with that reference; KindNotFound where there is none.
	Volume(ctx context.Context, reference id.ID) (Volume, error)
	// Volumes returns every volume of the account at the provider that is not gone.
	Volumes(ctx context.Context) ([]Volume, error)
	// GrowVolume makes the volume larger. It succeeds where the volume has that size already.
	GrowVolume(ctx context.Context, reference id.ID, sizeGB int64) error
	// DeleteVolume deletes the volume and its files. It succeeds where the volume is gone, and is
	// KindRejected where it is attached.
	DeleteVolume(ctx context.Context, reference id.ID) error
	// AttachVolume attaches the volume to the machine: its files appear at Volume.MountPath, or the
	// tenant mounts that.
	AttachVolume(ctx context.Context, volume, machine id.ID) error
	// DetachVolume detaches the volume from the machine that has it.
	DetachVolume(ctx context.Context, volume id.ID) error
}

// Info describes a provider.
type Info struct {
	// Slug is the provider's name in the API: lower-case letters, digits and hyphens.
	Slug string
	// Name is for display.
	Name string
	// Regions names the provider's regions by slug; empty where the offers name them.
	Regions []Region
	// LaunchLimit is how long a machine may take from Launch to answering SSH before the deployment
	// fails.
	LaunchLimit time.Duration
	// MinimumRuntime is the provider's own minimum, 0 for none.
	MinimumRuntime time.Duration
	// SyncEvery is how often its offers should be read.
	SyncEvery time.Duration
	// PollEvery is how often a machine that is being prepared should be polled.
	PollEvery time.Duration
	// SettleTime is how long a Launch or CreateVolume without a response may still take effect. A
	// caller that retries waits for it to pass, and reads first. It is 0 where the provider itself
	// creates nothing twice for one reference.
	SettleTime time.Duration
	// PrivateAddresses allows machines whose addresses are not on the Internet: loopback, private
	// and other special networks. The operator decides that for each account at a real cloud.
	PrivateAddresses bool
}

// Region is a place of a provider.
type Region struct {
	Slug, Name string
	// Country is an ISO 3166-1 alpha-2 code, or "".
	Country string
}

// InstanceType is the way in which a machine is rented out.
type InstanceType string

// The instance types of the API.
const (
	BareMetal InstanceType = "BARE_METAL"
	VM        InstanceType = "VM"
	Spot      InstanceType = "SPOT"
	Cluster   InstanceType = "CLUSTER"
)

// Enum lists every instance type.
func (InstanceType) Enum() []InstanceType { return []InstanceType{BareMetal, VM, Spot, Cluster} }

// Capabilities is what a provider can do with machines of an offer. Each true value requires the
// provider to implement the capability's interface.
type Capabilities struct {
	Reboot    bool `json:"reboot" doc:"Whether machines can be rebooted."`
	Power     bool `json:"power" doc:"Whether machines can be powered off and on."`
	Reinstall bool `json:"reinstall" doc:"Whether machines can be reinstalled with an operating system."`
	Rescue    bool `json:"rescue" doc:"Whether machines can be started with a rescue system."`
	Console   bool `json:"console" doc:"Whether machines have a serial console that can be opened."`
	Volumes   bool `json:"volumes" doc:"Whether volumes can be attached to machines."`
	CloudInit bool `json:"cloudInit" doc:"Whether cloud-init is supported."`
	SingleKey bool `json:"singleKey" doc:"Whether a deployment takes exactly one SSH key."`
	// CustomImages requires ImageReinstaller.
	CustomImages bool `json:"customImages" doc:"Whether machines can be installed with images of the tenant's own."`
}

// Offer is what a provider sells, in one region, at its price now.
type Offer struct {
	// Key identifies the offer at the provider permanently, together with Region. A key in the form
	// of our own offer ids ("off_…") becomes the offer's id.
	Key    string
	Region string
	// RegionName and Country describe a region that Info does not name; "" where unknown.
	RegionName string
	Country    string // ISO 3166-1 alpha-2

	GPUType          string // "NVIDIA B200", or as the provider writes it: the catalog knows the usual spellings
	GPUCount         int
	GPUMemoryGB      int // of one GPU
	VCPUs            int
	MemoryGB         int
	StorageGB        int
	Interconnect     string // between machines; "" for none or unknown
	InstanceType     InstanceType
	OperatingSystems []string // at least one

	// HourlyPrice is the provider's price of the whole offer, before the operator's markup.
	HourlyPrice money.Micros
	Available   bool
	// Stock is how many are available now; nil where the provider does not state it.
	Stock        *int
	Capabilities Capabilities
	// MinimumRuntime is this offer's own minimum, where it is longer than Info.MinimumRuntime.
	MinimumRuntime time.Duration
	// LaunchLimit is this offer's own limit, where it is shorter than Info.LaunchLimit; 0 where it
	// is not.
	LaunchLimit time.Duration
	// TrustedTenantsOnly offers are shown and sold to accounts that the operator trusts: a tenant
	// can keep the operator out of the machine.
	TrustedTenantsOnly bool
}

// LaunchRequest is the request for a machine.
type LaunchRequest struct {
	// Reference is our deployment id. It goes upstream as the machine's tag or name.
	Reference id.ID
	// Name is the tenant's, for display upstream; at most 64 characters.
	Name            string
	OfferKey        string
	Region          string
	OperatingSystem string
	// Image replaces OperatingSystem, which is its name then; nil for none. It is set only for
	// offers with CustomImages.
	Image *Image
	// AuthorizedKeys are the public keys that may log in as root, as lines of an authorized_keys
	// file without options.
	AuthorizedKeys []string
	// CloudInit is a #cloud-config text, or "".
	CloudInit string
	// HostKey is the SSH host key that the machine must show, at a HostKeyTaker; zero for none.
	HostKey HostKey
	// IgnoreEnded means that a machine of the reference that has ended does not count. It is set
	// where another offer of this provider was tried under the reference, and the provider has
	// confirmed that nothing is left of it.
	IgnoreEnded bool
}

// MachineState is the state of a machine.
type MachineState string

// The states of a machine. A machine that is gone is KindNotFound, or MachineGone for a while.
const (
	MachineProvisioning MachineState = "provisioning"
	MachineReady        MachineState = "ready" // switched on, with an address
	MachineOff          MachineState = "off"
	MachineTerminating  MachineState = "terminating"
	MachineFailed       MachineState = "failed" // never became ready, and will not
	MachineLost         MachineState = "lost"   // reclaimed by the provider, or broken
	MachineGone         MachineState = "gone"
)

// Machine is the provider's side of a deployment.
type Machine struct {
	// ID is the provider's own.
	ID string
	// Reference is the deployment id of the Launch; "" for a machine that is not ours.
	Reference id.ID
	State     MachineState
	// Detail explains the state to the tenant: "waiting for the operating system".
	Detail string
	// Address, SSHUser and SSHPort are set once the machine is ready.
	Address string
	SSHUser string
	SSHPort int
	// SSHHostKeys are known_hosts lines without the host part ("ssh-ed25519 AAAA…"), where the
	// provider states them.
	SSHHostKeys []string
	// Nodes are the servers of a machine that has several, in the provider's order; nil for a
	// machine of one server. Address and SSHPort are those of the first.
	Nodes []Node
	// Unhealthy is true where the provider reports a ready machine as broken for now. A machine
	// that never ran fails soon; one that ran is left alone.
	Unhealthy bool
	// Rescue is true while a machine that is ready runs its rescue system, or is about to.
	Rescue bool
	// ImageFault means that the tenant's own image is the reason for the state. Of a machine that
	// failed: no other machine could be installed with it. Of one that is provisioning: the
	// reinstallation has failed, nothing is installed, and the machine waits for another one.
	ImageFault bool
	// HourlyCost is the machine's hourly price as the provider states it, before the operator's
	// markup; 0 where it does not.
	HourlyCost money.Micros
	CreatedAt  time.Time
}

// Node is one server of a machine that has several.
type Node struct {
	Address string
	// PrivateAddress is its address on the network that the nodes share; "" where unknown.
	PrivateAddress string
	SSHPort        int
	// SSHHostKeys are as those of Machine.
	SSHHostKeys []string
}

// VolumePricing is the price of volumes in a region.
type VolumePricing struct {
	Region string
	// PerGBHour is the price of a decimal GB for an hour, before the operator's markup.
	PerGBHour            money.Micros
	MinSizeGB, MaxSizeGB int64
}

// VolumeRequest is the request for a volume.
type VolumeRequest struct {
	// Reference is our volume id.
	Reference id.ID
	Name      string
	Region    string
	SizeGB    int64
}

// Volume is the provider's side of a volume.
type Volume struct {
	// ID is the provider's own.
	ID string
	// Reference is the volume id of the CreateVolume; "" for a volume that is not ours.
	Reference id.ID
	// Ready is true once the volume can be attached.
	Ready bool
	// Failed is true where it never will be.
	Failed bool
	SizeGB int64
	// AttachedTo is the reference of the machine that has it, or "".
	AttachedTo id.ID
	// MountPath is where its files appear in a machine; or, where the tenant mounts it, the NFS
	// share to mount: "10.9.0.5:/share"; "" where neither is known.
	MountPath string
}
