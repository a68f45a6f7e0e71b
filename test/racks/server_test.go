package racks_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/rackagent"
)

// server is the agent's server, with one job at a time.
type server struct {
	*httptest.Server
	image   []byte
	token   string
	job     rackagent.Job
	reports chan rackagent.Report
}

func newServer(t *testing.T, image []byte) *server {
	t.Helper()
	s := &server{image: image, reports: make(chan rackagent.Report, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+rackagent.JobPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.job)
	})
	mux.HandleFunc("POST "+rackagent.ReportsPath, func(w http.ResponseWriter, r *http.Request) {
		var report rackagent.Report
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(b, &report)
		}
		if err != nil {
			t.Errorf("a report cannot be read: %v", err)
		}
		s.reports <- report
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /image", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.image) })
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.token {
			http.Error(w, "wrong token", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// url is the server's address as another host knows it.
func (s *server) url(host string) string {
	return "https://" + host + s.URL[strings.LastIndex(s.URL, ":"):]
}

// boot has the BMC start the machine from the agent's image with the parameters of a job, and
// returns the last report once the machine has restarted or switched itself off. Then the BMC
// ejects the image and switches the power off.
func (s *server) boot(t *testing.T, m *machine, base string, job rackagent.Job) rackagent.Report {
	t.Helper()
	start := time.Now()
	s.job, s.token = job, randomHex(t)
	image := s.serveImage(t, base, rackagent.Parameters{
		URL: s.url("10.0.2.2"), Pin: rackagent.Pin(s.Certificate()), Token: s.token, MAC: mac,
		Address: netip.MustParsePrefix("10.0.2.15/24"), Gateway: netip.MustParseAddr("10.0.2.2"),
	})
	noError(t, m.bmc.BootCD(t.Context(), image))
	exited := m.powerOn(t)
	limit := time.After(bootLimit)
	var last rackagent.Report
	for last.Phase != rackagent.Done && last.Phase != rackagent.Stopped {
		select {
		case r := <-s.reports:
			if r.Phase != last.Phase {
				t.Logf("%s: %s after %s", job.ID, r.Phase, time.Since(start).Round(time.Second/10))
			}
			last = r
		case <-exited:
			t.Fatalf("the machine stopped\n%s", m.console())
		case <-limit:
			t.Fatalf("the agent is at %q\n%s", last.Phase, m.console())
		}
	}
	select {
	case <-exited:
	case <-limit:
		t.Fatalf("the machine neither restarted nor switched itself off\n%s", m.console())
	}
	noError(t, m.bmc.EjectCD(t.Context()))
	noError(t, m.bmc.SetPower(t.Context(), bmc.PowerOff))
	if t.Failed() || testing.Verbose() {
		t.Logf("the console:\n%s", m.console())
	}
	return last
}

// serveImage serves the agent's image with parameters, as billetd does for BMCs.
func (s *server) serveImage(t *testing.T, base string, p rackagent.Parameters) (url string) {
	t.Helper()
	f, err := os.Open(base)
	noError(t, err)
	info, err := f.Stat()
	noError(t, err)
	iso, err := rackagent.OpenISO(f, info.Size())
	noError(t, err)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := iso.For(p)
		if err != nil {
			t.Error(err)
			return
		}
		http.ServeContent(w, r, "agent.iso", time.Time{}, content)
	}))
	t.Cleanup(func() {
		served.Close()
		f.Close()
	})
	return served.URL + "/" + s.token + ".iso"
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
