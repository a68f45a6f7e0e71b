package rackagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAgent_Inspect(t *testing.T) {
	r := newRack(t, newDrive("A", newMemory("a", testDrive), newMemory("a2", testDrive)))
	r.job = Job{ID: "job_1", Kind: Inspect}
	if next := r.agent.Run(t.Context()); next != PowerOff {
		t.Errorf("next is %d", next)
	}
	if len(r.reports) != 2 || r.reports[0].Phase != Started || r.reports[0].Number != 1 || r.reports[1].Phase != Done ||
		r.reports[1].Number != 2 {
		t.Fatalf("%+v", r.reports)
	}
	for _, report := range r.reports {
		h := report.Hardware
		if h == nil || h.Serial != "MACHINE-1" || len(h.Drives) != 1 || h.Drives[0].Bytes != 2*testDrive {
			t.Errorf("%+v", h)
		}
	}
}

func TestAgent_StopsIfTheTokenIsRefused(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		r := newRack(t, newDrive("A", newMemory("a", testDrive)))
		r.answer = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
		if next := r.agent.Run(t.Context()); next != Halt || len(r.waits) > 0 {
			t.Errorf("%d: next is %d after %d pauses", status, next, len(r.waits))
		}
		if !r.said("does not accept this agent's token") {
			t.Errorf("%d: the console has %q", status, r.console)
		}
	}
}

// TestAgent_StopsInTheMiddle: a job that the server ended while it ran is not finished, and the
// machine does not start from its drive.
func TestAgent_StopsInTheMiddle(t *testing.T) {
	m := newMemory("a", testDrive)
	d := newDrive("A", m)
	r := newRack(t, d)
	r.job = Job{ID: "job_1", Kind: Erase}
	r.agent.Heartbeat = time.Millisecond
	var over atomic.Bool
	r.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		if over.Load() {
			w.WriteHeader(http.StatusGone)
		}
		return over.Load()
	}
	d.Erase = func(ctx context.Context, _ Method) error {
		over.Store(true)
		<-ctx.Done()
		return ctx.Err()
	}
	if next := r.agent.Run(t.Context()); next != Halt {
		t.Errorf("next is %d", next)
	}
	if last := r.last(t); last.Phase == Done || last.Phase == Stopped {
		t.Errorf("%+v", last)
	}
}

// TestAgent_ReportsProgress: reports between phases are heartbeats, and their numbers increase.
func TestAgent_ReportsProgress(t *testing.T) {
	m := newMemory("a", testDrive)
	d := newDrive("A", m)
	r := newRack(t, d)
	r.job = Job{ID: "job_1", Kind: Erase}
	r.agent.Heartbeat = time.Millisecond
	beats := make(chan struct{}, 100)
	r.answer = func(_ http.ResponseWriter, request *http.Request) bool {
		if request.URL.Path == ReportsPath {
			select {
			case beats <- struct{}{}:
			default:
			}
		}
		return false
	}
	d.Erase = func(context.Context, Method) error {
		for range 5 {
			<-beats
		}
		m.garbage()
		return nil
	}
	r.agent.Run(t.Context())
	for i, report := range r.reports {
		if report.Number != i+1 || report.JobID != "job_1" {
			t.Errorf("report %d: %+v", i, report)
		}
	}
	beat := r.reports[len(r.reports)-2]
	if len(r.reports) < 5 || r.last(t).Phase != Done || beat.Phase != Erasing || beat.Erasure != nil {
		t.Errorf("%+v", r.reports)
	}
}

// TestAgent_RepeatsLostReports: the answer to the last report is lost. It is sent again with the
// same number.
func TestAgent_RepeatsLostReports(t *testing.T) {
	r := newRack(t, newDrive("A", newMemory("a", testDrive)))
	r.job = Job{ID: "job_1", Kind: Erase}
	lost := 0
	r.answer = func(w http.ResponseWriter, request *http.Request) bool {
		if request.URL.Path != ReportsPath {
			return false
		}
		if lost++; lost%3 == 0 {
			return false
		}
		if lost%3 == 1 {
			r.answer = nil
			r.serve(&silent{header: http.Header{}}, request) // the server has it, the agent does not know
			r.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(502)
				r.answer = nil
				return true
			}
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if next := r.agent.Run(t.Context()); next != PowerOff {
		t.Errorf("next is %d", next)
	}
	if len(r.waits) != 2 || r.waits[0] != time.Second || r.waits[1] != 2*time.Second {
		t.Errorf("pauses %v", r.waits)
	}
	if len(r.reports) != 3 || r.reports[0].Number != 1 || r.reports[1].Number != 1 || r.last(t).Phase != Done {
		t.Errorf("%+v", r.reports)
	}
}

type silent struct{ header http.Header }

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(b []byte) (int, error) { return len(b), nil }
func (s *silent) WriteHeader(int)             {}

// TestAgent_ServerAnswersGarbage: what is no job is asked for again, for a limited time, and
// nothing happens to the drives.
func TestAgent_ServerAnswersGarbage(t *testing.T) {
	for _, garbage := range []string{
		"", "null", "{}", "[]", "<html>", `{"id":"x","kind":"erase","newOption":true}`, `{"id":"x","drives":"A"}`,
	} {
		m := newMemory("a", testDrive)
		r := newRack(t, newDrive("A", m))
		r.answer = func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, garbage); return true }
		if next := r.agent.Run(t.Context()); next != Halt || len(r.waits) != lastTries-1 || len(r.reports) > 0 {
			t.Errorf("%.40q: next %d, %d pauses, %d reports", garbage, next, len(r.waits), len(r.reports))
		}
		if !isZero(m.b) {
			t.Errorf("%.40q: the drive was written", garbage)
		}
	}
}

func TestAgent_AnswersAreBounded(t *testing.T) {
	r := newRack(t)
	r.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write(make([]byte, MaxMessage+1000))
		return true
	}
	if b, err := r.agent.call(t.Context(), http.MethodGet, JobPath, nil); err != nil || len(b) != MaxMessage {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestAgent_InvalidJobChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		job  Job
		want string
	}{
		"kind": {Job{Kind: "format"}, `kind "format" is not known`},
		"method": {Job{Kind: Erase, Erase: &ErasePlan{Methods: []Method{"hammer"}}},
			`erase method "hammer" is not known`},
		"image": {Job{Kind: Deploy}, "image is missing; config is missing"},
		"fields": {Job{Kind: Deploy, Image: &Image{URL: "file:///etc/passwd", SHA256: "AA", Format: "vmdk"},
			Config: &Config{}},
			`image.url is not an address of HTTP; image.sha256 has not 64 lower-case hexadecimal digits; ` +
				`image.format "vmdk" is not known; image.bytes is not a size`},
	} {
		m := newMemory("a", testDrive)
		r := newRack(t, newDrive("A", m))
		r.job = c.job
		r.job.ID = "job_1"
		next := r.agent.Run(t.Context())
		last := r.last(t)
		if next != PowerOff || last.Error == nil || last.Error.Code != InvalidJob ||
			!strings.HasSuffix(last.Error.Message, c.want) {
			t.Errorf("%s: next %d, %+v", name, next, last.Error)
		}
		if !isZero(m.b) {
			t.Errorf("%s: the drive was written", name)
		}
	}
}

func TestAgent_InspectionFails(t *testing.T) {
	r := newRack(t)
	r.job = Job{ID: "job_1", Kind: Erase}
	r.agent.Inspect = func(context.Context) (Hardware, []*Drive, error) {
		return Hardware{}, nil, errors.New("no /sys")
	}
	next := r.agent.Run(t.Context())
	if last := r.last(t); next != PowerOff || last.Error == nil || last.Error.Code != HardwareFailed {
		t.Errorf("next %d, %+v", next, last)
	}
}

func TestAgent_EraseWithoutDrivesFails(t *testing.T) {
	r := newRack(t)
	r.job = Job{ID: "job_1", Kind: Erase}
	r.agent.Run(t.Context())
	if last := r.last(t); last.Error == nil || last.Error.Message != "the machine shows no drive" {
		t.Errorf("%+v", last)
	}
}

func TestAgent_WrongCertificate(t *testing.T) {
	r := newRack(t, newDrive("A", newMemory("a", testDrive)))
	r.agent.Server = PinnedClient(strings.Repeat("ab", 32))
	asked := false
	r.answer = func(http.ResponseWriter, *http.Request) bool { asked = true; return false }
	if next := r.agent.Run(t.Context()); next != Halt || asked {
		t.Errorf("next %d; the server was asked: %v", next, asked)
	}
	if !r.said("not the one that billet.pin names") {
		t.Errorf("the console has %q", r.console)
	}
}

// shell is what a tenant's rescue system is logged in to with.
var shell = &Shell{AuthorizedKeys: []string{"ssh-ed25519 AAAA"}, HostKey: "-----BEGIN OPENSSH PRIVATE KEY-----"}

// TestAgent_RescueChangesNothing: it serves the shell until the server ends the job, and says so
// meanwhile. A drive that cannot be read does not keep the tenant out.
func TestAgent_RescueChangesNothing(t *testing.T) {
	m := newMemory("a", testDrive)
	before := bytes.Clone(m.b)
	r := newRack(t, newDrive("A", m))
	r.job = Job{ID: "job_1", Kind: Rescue, Shell: shell}
	r.agent.Heartbeat = time.Millisecond
	r.agent.Inspect = func(context.Context) (Hardware, []*Drive, error) {
		return Hardware{}, nil, errors.New("input/output error")
	}
	served := make(chan Shell, 1)
	r.agent.Serve = func(ctx context.Context, s Shell) error {
		served <- s
		<-ctx.Done()
		return nil
	}
	r.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.reports) > 3 && r.reports[len(r.reports)-1].Phase == Serving {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	if next := r.agent.Run(t.Context()); next != Halt || !bytes.Equal(before, m.b) {
		t.Errorf("next %d", next)
	}
	if got := <-served; got.HostKey != shell.HostKey {
		t.Errorf("served: %+v", got)
	}
}

// TestAgent_RescueIsEndedByTheTenant: who restarts the machine starts it from its drive. A shell
// that cannot be served, or has no key, ends the job, too.
func TestAgent_RescueIsEndedByTheTenant(t *testing.T) {
	for name, c := range map[string]struct {
		shell  *Shell
		failed error
		next   Next
		code   ErrorCode
	}{
		"restarted":  {shell, nil, Restart, ""},
		"not served": {shell, errors.New("address in use"), PowerOff, RescueFailed},
		"no keys":    {&Shell{HostKey: "x"}, nil, PowerOff, InvalidJob},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRack(t, newDrive("A", newMemory("a", testDrive)))
			r.job = Job{ID: "job_1", Kind: Rescue, Shell: c.shell}
			r.agent.Serve = func(context.Context, Shell) error { return c.failed }
			if next := r.agent.Run(t.Context()); next != c.next {
				t.Errorf("next %d", next)
			}
			last := r.reports[len(r.reports)-1]
			if (last.Error == nil) != (c.code == "") || last.Error != nil && last.Error.Code != c.code {
				t.Errorf("the last report: %+v", last)
			}
		})
	}
}

// TestAgent_RescueEndsWithoutTheServer: a tenant who has broken the network restarts the machine,
// which does not wait for the server as long as others do. It stays if the server says that the job
// is over.
func TestAgent_RescueEndsWithoutTheServer(t *testing.T) {
	for status, want := range map[int]Next{
		http.StatusServiceUnavailable: Restart, http.StatusForbidden: Halt,
	} {
		r := newRack(t, newDrive("A", newMemory("a", testDrive)))
		r.job = Job{ID: "job_1", Kind: Rescue, Shell: shell}
		r.agent.Serve = func(context.Context, Shell) error {
			r.answer = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
			return nil
		}
		if next := r.agent.Run(t.Context()); next != want {
			t.Errorf("%d: next %d", status, next)
		}
		total := time.Duration(0)
		for _, pause := range r.waits {
			total += pause
		}
		if total > 2*time.Minute || status == http.StatusServiceUnavailable && total < time.Minute {
			t.Errorf("%d: it waits %s", status, total)
		}
	}
}
