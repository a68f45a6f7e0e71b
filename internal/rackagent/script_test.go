package rackagent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a space in memory.
type memory struct {
	mu     sync.Mutex
	name   string
	b      []byte
	sector int
	// keep has writes do nothing, and fail has reads or writes fail from an offset on.
	keep      bool
	failRead  int64
	failWrite int64
}

func newMemory(name string, size int) *memory {
	return &memory{name: name, b: make([]byte, size), sector: 512, failRead: 1 << 60, failWrite: 1 << 60}
}

func (m *memory) Name() string    { return m.name }
func (m *memory) Size() int64     { return int64(len(m.b)) }
func (m *memory) SectorSize() int { return m.sector }
func (m *memory) Flush() error    { return nil }

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at+int64(len(b)) > m.failRead {
		return 0, errors.New("input/output error")
	}
	return bytes.NewReader(m.b).ReadAt(b, at)
}

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at+int64(len(b)) > m.failWrite {
		return 0, errors.New("input/output error")
	}
	if at < 0 || at+int64(len(b)) > int64(len(m.b)) {
		return 0, errors.New("no space left on device")
	}
	if m.keep {
		return len(b), nil
	}
	return copy(m.b[at:], b), nil
}

func (m *memory) Zero(at, length int64) error {
	_, err := m.WriteAt(make([]byte, length), at)
	return err
}

// garbage makes the space what a cryptographic erase leaves.
func (m *memory) garbage() {
	content, _ := randomContent()
	m.mu.Lock()
	defer m.mu.Unlock()
	fill(m.b, content, 0)
}

// newDrive returns a drive that works, of the given spaces.
func newDrive(serial string, spaces ...*memory) *Drive {
	d := &Drive{Serial: serial, Model: "Scripted", Methods: []Method{SanitizeCrypto, NVMeFormat}}
	for _, s := range spaces {
		d.Spaces = append(d.Spaces, s)
	}
	d.Erase = func(context.Context, Method) error {
		for _, s := range spaces {
			s.garbage()
		}
		return nil
	}
	return d
}

// rack is billetd and a machine, scripted.
type rack struct {
	*httptest.Server
	agent   *Agent
	job     Job
	image   []byte
	answer  func(w http.ResponseWriter, r *http.Request) bool // true if it answered
	mu      sync.Mutex
	reports []Report
	console []string
	waits   []time.Duration
}

const testToken = "token-of-the-job-0001"

func newRack(t *testing.T, drives ...*Drive) *rack {
	t.Helper()
	r := &rack{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	t.Cleanup(r.Close)
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	r.agent = &Agent{
		Parameters: Parameters{URL: r.URL, Token: testToken, Pin: Pin(r.Certificate())},
		Server:     PinnedClient(Pin(r.Certificate())),
		Images:     r.Client(),
		Inspect: func(context.Context) (Hardware, []*Drive, error) {
			return Hardware{Serial: "MACHINE-1"}, drives, nil
		},
		Say: func(line string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.console = append(r.console, line)
		},
		Now: func() time.Time { return now },
		Wait: func(ctx context.Context, d time.Duration) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.waits = append(r.waits, d)
			return ctx.Err()
		},
		Heartbeat: time.Hour, Temporary: t.TempDir(),
	}
	return r
}

func (r *rack) serve(w http.ResponseWriter, request *http.Request) {
	if r.answer != nil && r.answer(w, request) {
		return
	}
	if request.Header.Get("Authorization") != "Bearer "+testToken {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	switch request.Method + " " + request.URL.Path {
	case "GET " + JobPath:
		_ = json.NewEncoder(w).Encode(r.job)
	case "POST " + ReportsPath:
		var report Report
		b, _ := io.ReadAll(request.Body)
		if err := json.Unmarshal(b, &report); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reports = append(r.reports, report)
		w.WriteHeader(http.StatusNoContent)
	case "GET /image":
		_, _ = w.Write(r.image)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// last returns the last report.
func (r *rack) last(t *testing.T) Report {
	t.Helper()
	if len(r.reports) == 0 {
		t.Fatalf("no report; the console: %s", strings.Join(r.console, "\n"))
	}
	return r.reports[len(r.reports)-1]
}

func (r *rack) said(text string) bool { return strings.Contains(strings.Join(r.console, "\n"), text) }

// deploy sets the job that writes an image.
func (r *rack) deploy(image []byte, format Format) {
	sum := sha256.Sum256(image)
	r.image = image
	r.job = Job{
		ID: "job_1", Kind: Deploy,
		Image: &Image{
			URL: r.URL + "/image", SHA256: hex.EncodeToString(sum[:]), Format: format, Bytes: int64(len(image)),
		},
		Config: &Config{MetaData: "instance-id: x\n", UserData: "#cloud-config\n", NetworkConfig: "version: 2\n"},
	}
}
