package rackagent

import (
	"net/netip"
	"time"
)

// Paths of the server's two operations, below the URL of Parameters.
const (
	JobPath     = "/agent/v1/job"
	ReportsPath = "/agent/v1/reports"
)

// MaxMessage limits a job and a report, in bytes of JSON.
const MaxMessage = 2 << 20

// Kind is what a job is for.
type Kind string

// The kinds of a job. Each reports the hardware first.
const (
	Inspect Kind = "inspect" // nothing else; then the machine is switched off
	Deploy  Kind = "deploy"  // erase if the job says so, write the image, then start from the drive
	Erase   Kind = "erase"   // erase all drives with proof; then the machine is switched off
	Rescue  Kind = "rescue"  // serve a shell, and change nothing; then start from the drive
)

// Job is what the server wants done in this boot.
type Job struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Drives are the serials of the drives that the machine must have. Empty means that they are
	// not known yet: whatever is found is accepted.
	Drives  []string   `json:"drives,omitempty"`
	Erase   *ErasePlan `json:"erase,omitempty"`  // of Erase and, optionally, of Deploy
	Image   *Image     `json:"image,omitempty"`  // of Deploy
	Config  *Config    `json:"config,omitempty"` // of Deploy
	Shell   *Shell     `json:"shell,omitempty"`  // of Rescue
	Network *Network   `json:"network,omitempty"`
}

// ErasePlan says how drives are erased.
type ErasePlan struct {
	// Methods are those that are allowed, the preferred first. Empty means all, in the order of
	// the constants. The first that the drive has and that succeeds is used.
	Methods []Method `json:"methods,omitempty"`
}

// Shell is how the tenant logs in to the rescue system, as root.
type Shell struct {
	// AuthorizedKeys are lines of an authorized_keys file without options.
	AuthorizedKeys []string `json:"authorizedKeys"`
	// HostKey is the private host key in OpenSSH's format.
	HostKey string `json:"hostKey"`
}

// Format is how an image's file represents a disk.
type Format string

// The formats of images.
const (
	Raw   Format = "raw"
	QCOW2 Format = "qcow2" // version 2 or 3, plain or compressed by zlib, without a backing file
)

// Image is the disk image that a deployment starts from.
type Image struct {
	URL    string `json:"url"`    // https; http is allowed, as the checksum protects the content
	SHA256 string `json:"sha256"` // of the file as delivered, 64 hexadecimal digits
	Format Format `json:"format"`
	Bytes  int64  `json:"bytes"` // of the file as delivered
	// Drive is the serial of the drive to write. Empty means the smallest that holds the
	// image and is not on USB.
	Drive string `json:"drive,omitempty"`
	// Tenant is for an image whose URL a tenant chose: it is read by HTTPS only, and from public
	// addresses and Networks only, redirects included.
	Tenant   bool           `json:"tenant,omitempty"`
	Networks []netip.Prefix `json:"networks,omitempty"`
}

// Config has the files of the NoCloud partition, which cloud-init reads at the first start.
type Config struct {
	MetaData      string `json:"metaData"`
	UserData      string `json:"userData"`
	NetworkConfig string `json:"networkConfig"`
}

// Network is the address that the server keeps for the machine.
type Network struct {
	MAC         string   `json:"mac"`
	Address     string   `json:"address"`
	Prefix      int      `json:"prefix"`
	Gateway     string   `json:"gateway,omitempty"`
	Nameservers []string `json:"nameservers,omitempty"`
}

// Hardware is what the agent found.
type Hardware struct {
	Vendor      string          `json:"vendor"`
	Product     string          `json:"product"`
	Serial      string          `json:"serial"`
	Firmware    string          `json:"firmware"` // version of the BIOS
	CPUModel    string          `json:"cpuModel"`
	CPUs        int             `json:"cpus"` // logical
	MemoryBytes int64           `json:"memoryBytes"`
	Drives      []HardwareDrive `json:"drives"`
	NICs        []NIC           `json:"nics"`
	GPUs        []GPU           `json:"gpus"`
	SecureBoot  bool            `json:"secureBoot"` // this boot was verified by the firmware
}

// HardwareDrive is a physical drive. An NVMe drive with several namespaces is one drive.
type HardwareDrive struct {
	Serial   string   `json:"serial"`
	Model    string   `json:"model"`
	Firmware string   `json:"firmware,omitempty"`
	Bytes    int64    `json:"bytes"`   // of all namespaces
	Methods  []Method `json:"methods"` // that the drive says it has
}

// NIC is a network interface.
type NIC struct {
	Name     string `json:"name"`
	MAC      string `json:"mac"`
	Link     bool   `json:"link"`
	Megabits int    `json:"megabits,omitempty"` // per second, if there is a link
}

// GPU is a display or compute accelerator on the PCI bus.
type GPU struct {
	Slot      string `json:"slot"`     // 0000:01:00.0
	VendorID  string `json:"vendorId"` // four hexadecimal digits
	DeviceID  string `json:"deviceId"`
	LinkWidth int    `json:"linkWidth,omitempty"` // of PCI Express, in use
	MaxWidth  int    `json:"maxWidth,omitempty"`  // that the GPU can use
}

// Method is a way to erase a drive.
type Method string

// The methods, the preferred first. Sanitize reaches all namespaces, spare blocks and caches, and
// continues after a power failure. Overwrite reaches only what the drive shows.
const (
	SanitizeCrypto Method = "sanitize_crypto"
	SanitizeBlock  Method = "sanitize_block"
	NVMeFormat     Method = "nvme_format"
	ATASecureErase Method = "ata_secure_erase"
	Overwrite      Method = "overwrite"
)

// Methods returns all methods, the preferred first.
func Methods() []Method {
	return []Method{SanitizeCrypto, SanitizeBlock, NVMeFormat, ATASecureErase, Overwrite}
}

// Verdict is what came of erasing one drive.
type Verdict string

// The verdicts of a drive. Only Erased is a success.
const (
	Erased     Verdict = "erased"
	Failed     Verdict = "failed"      // no method succeeded, or the proof could not be made
	MarksFound Verdict = "marks_found" // the drive reported success and still has marks: it lies
	Missing    Verdict = "missing"     // the job expects the drive, the machine does not have it
	Unexpected Verdict = "unexpected"  // erased, but the job does not know the drive
)

// Erasure is the record of one erasure of a machine.
type Erasure struct {
	Drives []DriveErasure `json:"drives"`
}

// Complete reports whether every drive of the record was erased, and at least one is recorded.
func (e Erasure) Complete() bool {
	for _, d := range e.Drives {
		if d.Verdict != Erased {
			return false
		}
	}
	return len(e.Drives) > 0
}

// DriveErasure is the record of one drive.
type DriveErasure struct {
	Serial    string    `json:"serial"`
	Model     string    `json:"model,omitempty"`
	Method    Method    `json:"method,omitempty"` // the one that succeeded, or the last one tried
	Bytes     int64     `json:"bytes"`
	StartedAt time.Time `json:"startedAt"`
	EndedAt   time.Time `json:"endedAt"`
	Marks     int       `json:"marks"`     // written before, and read back
	MarksGone int       `json:"marksGone"` // of these, found gone afterwards
	Verdict   Verdict   `json:"verdict"`
	Detail    string    `json:"detail,omitempty"` // for operators: what failed
}

// Phase is what the agent is doing.
type Phase string

// The phases. Done and Stopped are final: no report with a higher number follows.
const (
	Started     Phase = "started"
	Erasing     Phase = "erasing"
	Downloading Phase = "downloading" // a qcow2 image, which is checked before it is written
	Writing     Phase = "writing"
	Configuring Phase = "configuring" // the partition table and the NoCloud partition
	Serving     Phase = "serving"     // the shell of the rescue system
	Done        Phase = "done"
	Stopped     Phase = "stopped" // with an Error
)

// ErrorCode is the stable code of a failed job.
type ErrorCode string

// The error codes.
const (
	InvalidJob       ErrorCode = "invalid_job"
	HardwareFailed   ErrorCode = "hardware_failed" // the machine could not be inspected
	ErasureFailed    ErrorCode = "erasure_failed"  // Report.Erasure says which drive
	DriveNotFound    ErrorCode = "drive_not_found" // no drive holds the image
	ImageUnavailable ErrorCode = "image_unavailable"
	ImageChecksum    ErrorCode = "image_checksum" // the SHA-256 or the length is another
	ImageInvalid     ErrorCode = "image_invalid"  // not a disk image of its format with a GPT
	ImageTooLarge    ErrorCode = "image_too_large"
	ImageMemory      ErrorCode = "image_memory" // a qcow2 image is larger than the machine's memory
	WriteFailed      ErrorCode = "write_failed"
	RescueFailed     ErrorCode = "rescue_failed" // the shell cannot be served
)

// Report is one message of the agent. The server answers 204.
type Report struct {
	JobID string `json:"jobId"`
	// Number is 1 for the first report of a boot, and is increased with each. A repeated report
	// has its former number. The server ignores a number that is not higher than the last one.
	Number   int       `json:"number"`
	Phase    Phase     `json:"phase"`
	Progress int       `json:"progress"` // percent of the phase
	Error    *Error    `json:"error,omitempty"`
	Hardware *Hardware `json:"hardware,omitempty"` // with Started, Done and Stopped
	Erasure  *Erasure  `json:"erasure,omitempty"`  // with Done and Stopped, if drives were erased
}

// Error says why a job failed.
type Error struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"` // for operators; at most maxText printable characters
}

func (e *Error) Error() string { return e.Message }
