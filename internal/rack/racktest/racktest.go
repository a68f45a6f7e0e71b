package racktest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/rackagent"
	"golang.org/x/crypto/ssh"
)

// Calls are the agent's calls of the server under test.
type Calls struct {
	// Image reads the agent's image for a token, as a BMC and then the machine does.
	Image  func(ctx context.Context, token string) (rackagent.Parameters, error)
	Job    func(ctx context.Context, p rackagent.Parameters) (rackagent.Job, error)
	Report func(ctx context.Context, p rackagent.Parameters, r rackagent.Report) error
	// Now is the agents' clock; time.Now where it is nil.
	Now func() time.Time
}

// Server is one emulated server.
type Server struct {
	BMC     *bmctest.BMC
	Address bmc.Address
	// Name, MAC, Host and Serial are different for each server. Host is its IP address, at which
	// its SSH server listens on Port.
	Name, MAC, Host, Serial string
	GPUs                    int
	// Starting has the BMC answer 404 to all but its root, as some do while they start.
	Starting atomic.Bool

	calls  Calls
	served atomic.Pointer[func()]

	mu      sync.Mutex
	changed *sync.Cond
	handled int
	port    int
	drives  []drive
	system  *rackagent.Config // what is installed; nil for nothing
	image   rackagent.Image
	files   map[string]string
	script  func(job rackagent.Job, last *rackagent.Report) bool
	jobs    []rackagent.Job
}

type drive struct {
	serial string
	// data is what a tenant wrote to it.
	data bool
}

// New returns n servers. Their BMCs are closed when the test ends.
func New(t testing.TB, n int, calls Calls) []*Server {
	t.Helper()
	if calls.Now == nil {
		calls.Now = time.Now
	}
	var out []*Server
	for i := 1; i <= n; i++ {
		s := &Server{
			Name: fmt.Sprintf("gpu-%02d", i), MAC: fmt.Sprintf("3c:ec:ef:00:00:%02x", i),
			Host: fmt.Sprintf("127.0.77.%d", i), Serial: fmt.Sprintf("S%04d", i), GPUs: 8, calls: calls,
			drives: []drive{{serial: fmt.Sprintf("NVME-%d-A", i)}, {serial: fmt.Sprintf("NVME-%d-B", i)}},
			files:  map[string]string{},
		}
		s.changed = sync.NewCond(&s.mu)
		s.serve(t)
		out = append(out, s)
	}
	return out
}

// serve serves the BMC by TLS until the test ends.
func (s *Server) serve(t testing.TB) {
	s.BMC = bmctest.New(bmctest.Config{Serial: s.Serial, MACs: []string{s.MAC}, GPUs: 8, OnBoot: s.boot})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Starting.Load() && r.URL.Path != "/redfish/v1/" {
			http.NotFound(w, r)
			return
		}
		s.BMC.ServeHTTP(w, r)
		if f := s.served.Load(); f != nil {
			(*f)()
		}
	}))
	t.Cleanup(func() {
		server.Close()
		s.BMC.Close()
	})
	sum := sha256.Sum256(server.Certificate().Raw)
	s.Address = bmc.Address{
		URL: server.URL, User: "admin", Password: "secret", CertificateSHA256: hex.EncodeToString(sum[:]),
	}
}

// OnRequest has f called after each request to the BMC has had its effect, before it is answered.
func (s *Server) OnRequest(f func()) { s.served.Store(&f) }

// Script has the agent's last report changed from now on; false keeps it from being sent at all.
// Nil has the agent do what it should.
func (s *Server) Script(f func(job rackagent.Job, last *rackagent.Report) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Settle waits until the server runs what it started last: an agent has ended, or SSH answers.
func (s *Server) Settle() {
	for {
		s.mu.Lock()
		started := len(s.BMC.State().Boots)
		if s.handled >= started {
			s.mu.Unlock()
			return
		}
		s.changed.Wait()
		s.mu.Unlock()
	}
}

// Port returns the port of the SSH server; 0 if there is none.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Jobs returns the jobs that agents got.
func (s *Server) Jobs() []rackagent.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]rackagent.Job{}, s.jobs...)
}

// Installed returns what is installed; nil for nothing.
func (s *Server) Installed() (*rackagent.Config, rackagent.Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.system, s.image
}

// Soiled reports whether a drive has what a tenant wrote.
func (s *Server) Soiled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.drives {
		if d.data {
			return true
		}
	}
	return false
}

// Swap puts another drive in the place of the one with that serial number; "" leaves it empty.
func (s *Server) Swap(serial, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.drives {
		if d.serial != serial {
			continue
		}
		if by == "" {
			s.drives = append(s.drives[:i:i], s.drives[i+1:]...)
		} else {
			s.drives[i] = drive{serial: by}
		}
		return
	}
}

// WriteFile writes a file of the installed system, and so to each drive.
func (s *Server) WriteFile(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = text
	for i := range s.drives {
		s.drives[i].data = true
	}
}

// ReadFile reads a file of the installed system.
func (s *Server) ReadFile(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, found := s.files[name]
	if !found {
		return "", fmt.Errorf("there is no file %s", name)
	}
	return text, nil
}

// boot is what the server runs from its start.
func (s *Server) boot(ctx context.Context, cd string) {
	if cd == "" || !s.agent(ctx, cd) {
		s.disk(ctx)
	}
}

func (s *Server) done() {
	s.mu.Lock()
	s.handled++
	s.changed.Broadcast()
	s.mu.Unlock()
}

// agent runs the agent of an image; false if the image cannot be read, as the firmware then starts
// from the disk.
func (s *Server) agent(ctx context.Context, cd string) bool {
	token := strings.TrimSuffix(path.Base(cd), ".iso")
	p, err := s.calls.Image(ctx, token)
	if err != nil {
		return false
	}
	defer s.done()
	if ended, restart := s.work(ctx, p); restart {
		s.BMC.Restart(ctx)
	} else if ended {
		s.BMC.PowerOff(ctx)
	}
	return true
}

// work does what an agent does. ended is false if it halts, and restart is true if the machine is
// to start what was installed.
func (s *Server) work(ctx context.Context, p rackagent.Parameters) (ended, restart bool) {
	job, err := s.calls.Job(ctx, p)
	if err != nil {
		return false, false
	}
	if err := job.Validate(); err != nil {
		panic(err) // no agent would do it
	}
	s.mu.Lock()
	s.jobs = append(s.jobs, job)
	script := s.script
	s.mu.Unlock()
	hardware := s.hardware()
	started := rackagent.Report{JobID: job.ID, Number: 1, Phase: rackagent.Started, Hardware: &hardware}
	if s.calls.Report(ctx, p, started) != nil {
		return false, false
	}
	last := rackagent.Report{JobID: job.ID, Number: 2, Phase: rackagent.Done, Progress: 100, Hardware: &hardware}
	if job.Erase != nil {
		last.Erasure = s.erase(ctx)
	}
	if script == nil && job.Kind == rackagent.Rescue {
		_ = s.calls.Report(ctx, p, rackagent.Report{JobID: job.ID, Number: 2, Phase: rackagent.Serving})
		return false, false // it goes on until the machine is switched off
	}
	if script != nil && !script(job, &last) {
		return false, false
	}
	if job.Kind == rackagent.Deploy && last.Phase == rackagent.Done {
		s.install(ctx, job)
	}
	if s.calls.Report(ctx, p, last) != nil {
		return false, false
	}
	starts := job.Kind == rackagent.Deploy || job.Kind == rackagent.Rescue
	return true, starts && last.Phase == rackagent.Done
}

func (s *Server) hardware() rackagent.Hardware {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := rackagent.Hardware{
		Vendor: "Emulated", Product: "Server", Serial: s.Serial, CPUModel: "Emulated CPU", CPUs: 128,
		MemoryBytes: 1 << 40, NICs: []rackagent.NIC{{Name: "eth0", MAC: s.MAC, Link: true}},
		// The display controller of the BMC.
		GPUs: []rackagent.GPU{{Slot: "0000:01:00.0", VendorID: "1a03", DeviceID: "2000"}},
	}
	for i := range s.GPUs {
		out.GPUs = append(out.GPUs, rackagent.GPU{
			Slot: fmt.Sprintf("0000:%02x:00.0", 16+i), VendorID: "10de", DeviceID: "2330", LinkWidth: 16,
		})
	}
	for _, d := range s.drives {
		out.Drives = append(out.Drives, rackagent.HardwareDrive{Serial: d.serial, Model: "Emulated NVMe", Bytes: 4e12})
	}
	return out
}

// erase erases every drive, unless the server was switched since the agent started.
func (s *Server) erase(ctx context.Context) *rackagent.Erasure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out rackagent.Erasure
	if ctx.Err() != nil {
		return &out
	}
	for i := range s.drives {
		s.drives[i].data = false
		now := s.calls.Now()
		out.Drives = append(out.Drives, rackagent.DriveErasure{
			Serial: s.drives[i].serial, Model: "Emulated NVMe", Method: rackagent.SanitizeCrypto, Bytes: 4e12,
			StartedAt: now, EndedAt: now.Add(time.Second), Marks: 64, MarksGone: 64, Verdict: rackagent.Erased,
		})
	}
	s.system, s.files = nil, map[string]string{}
	return &out
}

func (s *Server) install(ctx context.Context, job rackagent.Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.system, s.image, s.files = job.Config, *job.Image, map[string]string{}
	s.drives[0].data = true
}

// disk runs what is installed until the server is switched off.
func (s *Server) disk(ctx context.Context) {
	system, _ := s.Installed()
	if system == nil {
		s.done()
		<-ctx.Done()
		return
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(hostKey(system.UserData))
	l, err := net.Listen("tcp", s.Host+":0")
	if err != nil {
		s.done()
		return
	}
	s.mu.Lock()
	if ctx.Err() == nil {
		s.port = l.Addr().(*net.TCPAddr).Port
	}
	s.mu.Unlock()
	s.done()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _, _, _ = ssh.NewServerConn(c, config)
		}()
	}
}

// hostKey returns the key in the user data, or a new one.
func hostKey(userData string) ssh.Signer {
	const begin, end = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
	if _, rest, found := strings.Cut(userData, begin); found {
		body, _, _ := strings.Cut(rest, end)
		text := begin + "\n" + strings.Join(strings.Fields(body), "\n") + "\n" + end + "\n"
		if key, err := ssh.ParsePrivateKey([]byte(text)); err == nil {
			return key
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		panic(err)
	}
	key, err := ssh.ParsePrivateKey(bytes.TrimSpace(pem.EncodeToMemory(block)))
	if err != nil {
		panic(err)
	}
	return key
}
