package rack

import (
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

const (
	// MaxMachines is how many machines there may be.
	MaxMachines = 2000
	// maxHistory is how many changes of state are kept for a machine.
	maxHistory = 100
	// maxReason is how many bytes a reason may have.
	maxReason = 500
)

// Machine is one of the operator's servers.
type Machine struct {
	ID   id.ID  `json:"id" doc:"Id of the machine, mac_…"`
	Name string `json:"name" doc:"Name, which no other machine has."`

	State   State     `json:"state" doc:"Where it is in its life."`
	Cause   Cause     `json:"cause" doc:"Why it is in that state."`
	Reason  string    `json:"reason" doc:"The cause in words; empty if there is nothing to add."`
	StateAt time.Time `json:"stateAt" doc:"Since when it is in that state."`
	// Unerased machines may have data of a tenant, or whatever was on them when they were entered.
	Unerased     bool   `json:"unerased" doc:"Whether its drives have not been proven erased since it was entered, or since its last tenant. It is not sold before they are."`
	DeploymentID *id.ID `json:"deploymentId" doc:"Id of the deployment that has it; null if none does."`

	BMCURL         string `json:"bmcUrl" doc:"URL of its management controller (BMC)."`
	BMCUser        string `json:"bmcUser" doc:"User name at the BMC. The password is encrypted and never shown."`
	BMCCertificate string `json:"bmcCertificateSha256" doc:"SHA-256 of the certificate that the BMC must show, in hex; empty if it must be one that this server trusts."`
	RotatePassword bool   `json:"rotatePassword" doc:"Whether the password at the BMC is replaced with a random one after each tenant."`
	// PasswordChangedAt and PasswordProblem are what became of the last time.
	PasswordChangedAt *time.Time `json:"passwordChangedAt" doc:"When Billet last replaced the password at the BMC; null if it never did."`
	PasswordProblem   string     `json:"passwordProblem" doc:"Why the password was not replaced after the last tenant; empty if it was, or was not to be."`
	RefusedAt         *time.Time `json:"bmcRefusedAt" doc:"Since when the BMC has refused Billet's password, or has shown another certificate; null if it does not."`

	SSHAddress     string          `json:"sshAddress" doc:"Host and port at which a machine without a BMC answers SSH; empty if it has a BMC."`
	SSHUser        string          `json:"sshUser" doc:"User name at the operator's own system, root or one who may use sudo without a password."`
	SSHHostKey     string          `json:"sshHostKey" doc:"Public host key that the operator's own system must show."`
	SSHPublicKey   string          `json:"sshPublicKey" doc:"Public key that this user must accept, and that is in every system that is installed there. The private key is encrypted and never shown."`
	IdleImage      string          `json:"idleImage" doc:"Name of the machine image that a machine without a BMC is installed with after each erasure, so that it can be reached."`
	Console        bmc.ConsoleKind `json:"console" enum:"off,openbmc,idrac,ilo" doc:"How its BMC gives its serial console over SSH; off if tenants cannot open it."`
	ConsolePort    int64           `json:"consolePort" doc:"Port of the console’s SSH; 0 for the usual one of the kind."`
	ConsoleUser    string          `json:"consoleUser" doc:"User name at the console. The password is encrypted and never shown."`
	ConsoleHostKey string          `json:"consoleHostKey" doc:"SSH host key that the console must show."`

	MACs        []string `json:"macs" doc:"MAC addresses of its network cards; the first is that of the card with the address."`
	Address     string   `json:"address" doc:"IP address with the length of its prefix, such as 192.0.2.10/24."`
	Gateway     string   `json:"gateway" doc:"IP address of the gateway."`
	Nameservers []string `json:"nameservers" doc:"IP addresses of DNS servers."`

	Region   string            `json:"region" doc:"Slug of the region."`
	Fabric   string            `json:"fabric" doc:"Name of the fast network that connects it with others; empty for none."`
	Rack     string            `json:"rack" doc:"Name of the rack; empty if unknown."`
	Position int64             `json:"position" doc:"Lowest rack unit that it takes, from 1 at the bottom; 0 if unknown."`
	Height   int64             `json:"height" doc:"Number of rack units that it takes."`
	Labels   map[string]string `json:"labels" doc:"The operator's own labels."`

	HourlyPrice money.Micros `json:"hourlyPrice" doc:"Price of the machine in US dollars an hour, before the markup."`
	GPUType     string       `json:"gpuType" doc:"GPU type, such as NVIDIA H100."`
	GPUCount    int64        `json:"gpuCount" doc:"Number of its GPUs."`
	GPUMemoryGB int64        `json:"gpuMemoryGb" doc:"Memory of one GPU in GB."`
	VCPUs       int64        `json:"vcpus" doc:"Number of its processor threads."`
	MemoryGB    int64        `json:"memoryGb" doc:"Its memory in GB."`
	StorageGB   int64        `json:"storageGb" doc:"Size of its drives together in GB."`

	Retiring bool      `json:"retiring" doc:"Whether it is retired once its tenant has left and it is erased."`
	Detail   string    `json:"detail" doc:"What is going on, or what keeps it from going on; empty if there is nothing to say."`
	Hardware *Hardware `json:"hardware" doc:"What the last inspection found; null before."`

	Destroyed []DestroyedDrive `json:"destroyedDrives" doc:"Drives that the operator has destroyed since the last erasure that passed."`

	CreatedAt time.Time `json:"createdAt" doc:"When it was entered."`
	ChangedAt time.Time `json:"changedAt" doc:"When it was last changed, apart from its state."`

	sealed         string // the password of the BMC
	sealedNext     string // one that may be valid instead: it is, or was to be, set at the BMC; "" for none
	passwordFor    id.ID  // the deployment after which the password was last dealt with
	sealedSSH      string // a login
	system         system
	consoleSealed  string // that of the console; "" without one
	tenancy        Tenancy
	wanted         Wish
	wantedAt       *time.Time // since when, or not before which
	launch         string     // sealed: a Launch
	installs       int64
	lastDeployment id.ID
	assignedAt     *time.Time
	watchedAt      *time.Time
}

// tenantsData reports whether the machine may have data of a tenant.
func (m Machine) tenantsData() bool { return m.Unerased && m.lastDeployment != "" }

// MachineFields are what an operator says of a machine: a new one, or a change of one, where nil
// keeps
// what there is.
type MachineFields struct {
	Name            *string            `json:"name,omitempty" yaml:"name" minLength:"1" maxLength:"64" example:"gpu-07" doc:"Name, which no other machine has."`
	BMCURL          *string            `json:"bmcUrl,omitempty" yaml:"bmcUrl" maxLength:"256" example:"https://10.0.0.17" doc:"URL of its management controller (BMC), which speaks Redfish."`
	BMCUser         *string            `json:"bmcUser,omitempty" yaml:"bmcUser" maxLength:"64" doc:"User name at the BMC."`
	BMCPassword     *string            `json:"bmcPassword,omitempty" yaml:"bmcPassword" maxLength:"256" doc:"Password at the BMC. It is encrypted and never shown."`
	BMCCertificate  *string            `json:"bmcCertificateSha256,omitempty" yaml:"bmcCertificateSha256" maxLength:"95" doc:"SHA-256 of the certificate that the BMC must show, in hex, with or without colons; empty, the default, if it must be one that this server trusts."`
	RotatePassword  *bool              `json:"rotatePassword,omitempty" yaml:"rotatePassword" doc:"Whether the password at the BMC is replaced with a random one after each tenant, which is never shown; true by default."`
	SSHAddress      *string            `json:"sshAddress,omitempty" yaml:"sshAddress" maxLength:"256" example:"192.0.2.10:22" doc:"Host and port at which a machine without a BMC answers SSH. It is sold to trusted accounts only: its tenant can keep this server out."`
	SSHUser         *string            `json:"sshUser,omitempty" yaml:"sshUser" maxLength:"64" doc:"User name there; root, the default, or one who may use sudo without a password."`
	SSHHostKey      *string            `json:"sshHostKey,omitempty" yaml:"sshHostKey" maxLength:"2000" doc:"Public host key that it must show, such as the text of /etc/ssh/ssh_host_ed25519_key.pub."`
	SSHPrivateKey   *string            `json:"sshPrivateKey,omitempty" yaml:"sshPrivateKey" maxLength:"16384" doc:"Private key in OpenSSH's format, without a passphrase. If omitted, one is made for the machine; add its sshPublicKey to the user's authorized keys. It is encrypted and never shown."`
	IdleImage       *string            `json:"idleImage,omitempty" yaml:"idleImage" maxLength:"64" example:"Debian 12" doc:"Name of the machine image that is installed after each erasure, so that the machine can be reached; required with sshAddress."`
	Console         *string            `json:"console,omitempty" yaml:"console" enum:"off,openbmc,idrac,ilo" doc:"How its BMC gives its serial console over SSH. off, the default: tenants cannot open it."`
	ConsolePort     *int64             `json:"consolePort,omitempty" yaml:"consolePort" minimum:"0" maximum:"65535" doc:"Port of the console’s SSH; 0, the default, for the usual one: 2200 of openbmc, else 22."`
	ConsoleUser     *string            `json:"consoleUser,omitempty" yaml:"consoleUser" maxLength:"64" doc:"User name at the console, of a user with no other right."`
	ConsolePassword *string            `json:"consolePassword,omitempty" yaml:"consolePassword" maxLength:"256" doc:"Password at the console. It is encrypted and never shown."`
	ConsoleHostKey  *string            `json:"consoleHostKey,omitempty" yaml:"consoleHostKey" maxLength:"2000" example:"ssh-ed25519 AAAA…" doc:"SSH host key that the console must show, as ssh-keyscan prints it, without the address."`
	MACs            *[]string          `json:"macs,omitempty" yaml:"macs" maxItems:"32" doc:"MAC addresses of its network cards; the first is that of the card with the address."`
	Address         *string            `json:"address,omitempty" yaml:"address" maxLength:"64" example:"192.0.2.10/24" doc:"IP address with the length of its prefix."`
	Gateway         *string            `json:"gateway,omitempty" yaml:"gateway" maxLength:"64" doc:"IP address of the gateway; empty, the default, for none."`
	Nameservers     *[]string          `json:"nameservers,omitempty" yaml:"nameservers" maxItems:"8" doc:"IP addresses of DNS servers; none by default."`
	Region          *string            `json:"region,omitempty" yaml:"region" maxLength:"64" example:"oslo-1" doc:"Slug of the region."`
	Fabric          *string            `json:"fabric,omitempty" yaml:"fabric" maxLength:"64" doc:"Name of the fast network that connects it with others; empty, the default, for none."`
	Rack            *string            `json:"rack,omitempty" yaml:"rack" maxLength:"64" example:"A12" doc:"Name of the rack; empty by default."`
	Position        *int64             `json:"position,omitempty" yaml:"position" minimum:"0" maximum:"64" doc:"Lowest rack unit that it takes, from 1 at the bottom; 0, the default, if unknown."`
	Height          *int64             `json:"height,omitempty" yaml:"height" minimum:"1" maximum:"64" doc:"Number of rack units that it takes; 1 by default."`
	Labels          *map[string]string `json:"labels,omitempty" yaml:"labels" maxProperties:"32" doc:"The operator's own labels; replaces all of them."`
	HourlyPrice     *money.Micros      `json:"hourlyPrice,omitempty" yaml:"-" minimum:"0" maximum:"100000" example:"12.5" doc:"Price of the machine in US dollars an hour, before the markup."`
	GPUType         *string            `json:"gpuType,omitempty" yaml:"gpuType" maxLength:"64" example:"NVIDIA H100" doc:"GPU type."`
	GPUCount        *int64             `json:"gpuCount,omitempty" yaml:"gpuCount" minimum:"1" maximum:"64" doc:"Number of its GPUs."`
	GPUMemoryGB     *int64             `json:"gpuMemoryGb,omitempty" yaml:"gpuMemoryGb" minimum:"1" maximum:"4096" doc:"Memory of one GPU in GB."`
	VCPUs           *int64             `json:"vcpus,omitempty" yaml:"vcpus" minimum:"0" maximum:"65536" doc:"Number of its processor threads; 0, the default, if unknown."`
	MemoryGB        *int64             `json:"memoryGb,omitempty" yaml:"memoryGb" minimum:"0" maximum:"1000000" doc:"Its memory in GB; 0, the default, if unknown."`
	StorageGB       *int64             `json:"storageGb,omitempty" yaml:"storageGb" minimum:"0" maximum:"100000000" doc:"Size of its drives together in GB; 0, the default, if unknown."`
}

// Empty reports whether the change changes nothing.
func (f MachineFields) Empty() bool { return f == MachineFields{} }

// set overwrites a value that the change has.
func set[T any](value *T, by *T) {
	if by != nil {
		*value = *by
	}
}

// with returns the machine after the change, apart from the password.
func (m Machine) with(f MachineFields) Machine {
	set(&m.Name, f.Name)
	set(&m.BMCURL, f.BMCURL)
	set(&m.BMCUser, f.BMCUser)
	set(&m.BMCCertificate, f.BMCCertificate)
	set(&m.RotatePassword, f.RotatePassword)
	set(&m.SSHAddress, f.SSHAddress)
	set(&m.SSHUser, f.SSHUser)
	set(&m.SSHHostKey, f.SSHHostKey)
	set(&m.IdleImage, f.IdleImage)
	if f.Console != nil {
		m.Console = bmc.ConsoleKind(*f.Console)
	}
	set(&m.ConsolePort, f.ConsolePort)
	set(&m.ConsoleUser, f.ConsoleUser)
	set(&m.ConsoleHostKey, f.ConsoleHostKey)
	set(&m.MACs, f.MACs)
	set(&m.Address, f.Address)
	set(&m.Gateway, f.Gateway)
	set(&m.Nameservers, f.Nameservers)
	set(&m.Region, f.Region)
	set(&m.Fabric, f.Fabric)
	set(&m.Rack, f.Rack)
	set(&m.Position, f.Position)
	set(&m.Height, f.Height)
	set(&m.Labels, f.Labels)
	set(&m.HourlyPrice, f.HourlyPrice)
	set(&m.GPUType, f.GPUType)
	set(&m.GPUCount, f.GPUCount)
	set(&m.GPUMemoryGB, f.GPUMemoryGB)
	set(&m.VCPUs, f.VCPUs)
	set(&m.MemoryGB, f.MemoryGB)
	set(&m.StorageGB, f.StorageGB)
	return m
}

// Transition is one change of a machine's state.
type Transition struct {
	Number int64     `json:"number" doc:"Number of the change, from 1."`
	At     time.Time `json:"at" doc:"When it was."`
	From   *State    `json:"from" doc:"State before; null for the first."`
	To     State     `json:"to" doc:"State after."`
	Cause  Cause     `json:"cause" doc:"Why it changed."`
	Reason string    `json:"reason" doc:"The cause in words; empty if there is nothing to add."`

	machine id.ID
	from    State
}
