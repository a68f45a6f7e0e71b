package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider/sim/nvidiasmi"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// User is the only user that a machine lets in.
const User = "root"

var (
	// ErrNotRunning says that the directory holds no running machine.
	ErrNotRunning = errors.New("the machine is not running")
	// ErrRunning says that the machine must be stopped first.
	ErrRunning = errors.New("the machine is running")
	// ErrUnisolated says that namespaces are unavailable and that the Spec does not accept a plain
	// machine. The wrapped error holds the reason.
	ErrUnisolated = errors.New(
		"machines cannot be isolated here, so a user who logs in would have all rights of the server's user",
	)
	// ErrUnisolatedRoot says the same of a server that runs as root, where no Spec accepts it.
	ErrUnisolatedRoot = errors.New(
		"machines cannot be isolated here and the server runs as root, so a user who logs in would be root of this " +
			"host; " +
			"run the server as an ordinary user, or allow it to make user namespaces",
	)
	// ErrVolumeBusy says that a volume could not be unmounted although the processes using it were
	// killed.
	ErrVolumeBusy = errors.New("the volume is still in use")
)

// startTimeout bounds the time from starting the process to the machine being ready. A machine
// needs tens of milliseconds; many at once on a small host share them.
const startTimeout = 60 * time.Second

// GPUs describes the GPUs that the machine pretends to have. Count 0 means none.
type GPUs struct {
	Model    string // as in "NVIDIA B200" or "AMD MI300X"
	Count    int
	MemoryMB int64 // MiB of each GPU
	// Fault is one of [GPUFaults] that the last GPU has, or empty.
	Fault string `json:",omitempty"`
}

// GPUFaults lists the faults that a machine's GPU may have, each named after the GPU check that
// finds it.
func GPUFaults() []string { return nvidiasmi.Faults() }

// Spec says what machine to start.
type Spec struct {
	// Dir is the machine's own directory, made if it is missing. Only the owner gets at it (0700).
	Dir string
	// Hostname may be any text; what a hostname does not allow is replaced.
	Hostname string
	// Address is the loopback address to listen on. Ports are tried in this order: the one it had
	// last, 22, 2222, any. Where the address cannot be had (macOS has only 127.0.0.1), 127.0.0.1
	// with any port is used.
	Address netip.Addr
	// AuthorizedKeys are lines of an authorized_keys file without options; at least one. They are
	// what the machine's own authorized_keys begins with at the first start after the directory was
	// made or wiped; that file decides.
	AuthorizedKeys []string
	GPUs           GPUs
	// OS is the name of the operating system that was ordered; it is only shown, the programs are
	// the host's.
	OS string
	// Volumes maps a volume's name (see [AttachVolume]) to the host directory that holds its files.
	Volumes map[string]string
	// CloudInit is empty or a cloud-config text; it is applied at the first start after the
	// directory was made or wiped. See [CheckCloudInit].
	CloudInit string
	// Unisolated accepts a plain machine where none can be isolated; see the package comment.
	Unisolated bool
}

// Endpoint says how to reach a running machine.
type Endpoint struct {
	Address netip.AddrPort
	// HostKeys are the public host keys, each as in "ssh-ed25519 AAAA…".
	HostKeys []string
	// Isolated is false for a plain machine; see the package comment.
	Isolated bool
	// PID is the machine's first process as the host sees it.
	PID int
}

// KnownHosts returns the lines of a known_hosts file for this machine.
func (e Endpoint) KnownHosts() string {
	var lines []string
	for _, text := range e.HostKeys {
		key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(text))
		if err != nil {
			return ""
		}
		lines = append(lines, knownhosts.Line([]string{e.Address.String()}, key))
	}
	return strings.Join(lines, "\n")
}

// Start starts the machine and returns when SSH answers. A machine that runs already is left as it
// is. The files and the host keys of an earlier start are kept, and the address too when it is
// still free. When ctx ends first, nothing is left running.
func Start(ctx context.Context, spec Spec) (Endpoint, error) {
	if err := spec.check(); err != nil {
		return Endpoint{}, err
	}
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return Endpoint{}, err
	}
	spec.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Endpoint{}, err
	}
	var endpoint Endpoint
	err = withLock(ctx, dir, func() error {
		if e, ok := Running(dir); ok {
			endpoint = e
			return nil
		}
		isolated, reason := Isolation(ctx, dir)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !isolated && os.Geteuid() == 0 {
			return fmt.Errorf("%w: %w", ErrUnisolatedRoot, reason)
		}
		if !isolated && !spec.Unisolated {
			return fmt.Errorf("%w: %w", ErrUnisolated, reason)
		}
		endpoint, err = start(ctx, spec, isolated)
		return err
	})
	return endpoint, err
}

func start(ctx context.Context, spec Spec, isolated bool) (Endpoint, error) {
	if err := prepareDisk(spec.Dir, isolated); err != nil {
		return Endpoint{}, err
	}
	for name, hostDir := range spec.Volumes {
		if err := prepareVolume(hostDir, isolated); err != nil {
			return Endpoint{}, fmt.Errorf("volume %s: %w", name, err)
		}
	}
	private, public, err := hostKeys(spec.Dir)
	if err != nil {
		return Endpoint{}, err
	}
	previous, _ := readState(spec.Dir)
	listener, err := listen(ctx, spec.Address, previous.Address)
	if err != nil {
		return Endpoint{}, err
	}
	defer listener.Close()
	address := listener.Addr().(*net.TCPAddr).AddrPort()
	cfg := config{
		Dir:        spec.Dir,
		Hostname:   hostname(spec.Hostname),
		Keys:       spec.AuthorizedKeys,
		HostKeys:   private,
		PublicKeys: public,
		GPUs:       spec.GPUs,
		OS:         spec.OS,
		Volumes:    spec.Volumes,
		CloudInit:  spec.CloudInit,
		Isolated:   isolated,
	}
	s := state{Address: address, HostKeys: public, Isolated: isolated}
	err = launch(ctx, cfg, listener, func(pid int) error {
		// The machine waits for its configuration until this is written, so a server that dies here
		// leaves no machine without a record.
		s.PID = pid
		s.Started, s.Boot = processStart(pid), bootID()
		return writeState(spec.Dir, s)
	})
	if err != nil {
		s.PID, s.Started = 0, ""
		return Endpoint{}, errors.Join(err, writeState(spec.Dir, s))
	}
	return s.endpoint(), nil
}

// Running returns the endpoint of the machine in dir if it runs, no matter which process started
// it. It never changes anything.
func Running(dir string) (Endpoint, bool) {
	s, err := readState(dir)
	if err != nil || !s.alive() {
		return Endpoint{}, false
	}
	return s.endpoint(), true
}

// Stop ends every process of the machine, as when its plug is pulled, and returns when they are
// gone. Stopping a machine that does not run, or a directory that does not exist, is no error.
func Stop(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return withLock(ctx, dir, func() error { return stop(ctx, dir) })
}

func stop(ctx context.Context, dir string) error {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.end(ctx); err != nil {
		return err
	}
	s.PID, s.Started = 0, ""
	return writeState(dir, s)
}

// Wipe removes the files of a stopped machine, its host keys and the memory of its first start, as
// a reinstall does; the address is kept. It returns ErrRunning for a running machine.
func Wipe(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return withLock(ctx, dir, func() error {
		if _, ok := Running(dir); ok {
			return ErrRunning
		}
		if err := removeTree(filepath.Join(dir, diskDir)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, logFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return removeHostKeys(dir)
	})
}

// Remove stops the machine and removes its directory. Volumes live elsewhere and are not touched.
func Remove(ctx context.Context, dir string) error {
	if err := Stop(ctx, dir); err != nil {
		return err
	}
	return removeTree(dir)
}

func (s Spec) check() error {
	var errs []error
	if s.Dir == "" {
		errs = append(errs, errors.New("dir is missing"))
	}
	if !s.Address.IsValid() || !s.Address.IsLoopback() {
		errs = append(errs, fmt.Errorf("address %v is not a loopback address", s.Address))
	}
	if err := parseKeys(s.AuthorizedKeys); err != nil {
		errs = append(errs, err)
	}
	if s.GPUs.Count < 0 || s.GPUs.Count > 64 || s.GPUs.MemoryMB < 0 {
		errs = append(errs, errors.New("GPUs must be 0 to 64 with memory of 0 or more"))
	}
	if f := s.GPUs.Fault; f != "" && !slices.Contains(GPUFaults(), f) {
		errs = append(errs, fmt.Errorf("there is no GPU fault %q", f))
	}
	for name, hostDir := range s.Volumes {
		if err := checkVolume(name, hostDir); err != nil {
			errs = append(errs, err)
		}
	}
	if s.CloudInit != "" {
		if wrong := CheckCloudInit(s.CloudInit); len(wrong) > 0 {
			errs = append(errs, errors.New("cloud-init: "+wrong[0].String()))
		}
	}
	return errors.Join(errs...)
}

// hostname makes a DNS label of any text: lower-case letters, digits and single hyphens, at most
// 63.
func hostname(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
			b.WriteByte('-')
		}
	}
	name := b.String()
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if name == "" {
		return "machine"
	}
	return name
}

// listen opens the machine's port. A listener on all addresses blocks a port for every loopback
// address, and ordinary users cannot have 22, so several ports are tried.
func listen(ctx context.Context, want netip.Addr, previous netip.AddrPort) (*net.TCPListener, error) {
	only := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ports := []uint16{22, 2222, 0}
	if want == only {
		ports = []uint16{0} // shared with the host's own services: take no well-known port there
	}
	var tries []netip.AddrPort
	if previous.IsValid() {
		tries = append(tries, previous)
	}
	for _, port := range ports {
		tries = append(tries, netip.AddrPortFrom(want, port))
	}
	if want != only {
		tries = append(tries, netip.AddrPortFrom(only, 0))
	}
	var errs []error
	for _, address := range tries {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address.String())
		if err == nil {
			return l.(*net.TCPListener), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
