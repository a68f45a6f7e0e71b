package racks_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/racks"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/secret"
)

// rig is a rack of emulated servers whose agents call the server under test by HTTPS.
type rig struct {
	t        *testing.T
	clock    *clock.Simulated
	db       *db.DB
	rack     *rack.Service
	runner   *job.Runner
	server   *httptest.Server
	servers  []*racktest.Server
	machines []id.ID
}

func newRig(t *testing.T, n int) *rig {
	t.Helper()
	c := clock.NewFrozen(dbtest.Start)
	r := &rig{t: t, clock: c, db: dbtest.SQLite(t, c)}
	ids := id.NewMaker(c, rand.Reader)
	queue := job.NewQueue(ids)
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r.rack = rack.New(rack.Config{
		DB: r.db, IDs: ids, Clock: c, Jobs: queue, Secrets: box,
		Issues: issue.New(issue.Config{IDs: ids, Jobs: queue, Log: slog.New(slog.DiscardHandler)}),
		Open: func(ctx context.Context, a bmc.Address) (*bmc.BMC, error) {
			a.Wait = 100 * time.Millisecond
			return bmc.Open(ctx, a)
		},
		Server: func() (rack.Server, bool) {
			return rack.Server{URL: r.server.URL, Pin: strings.Repeat("ab", 32), Boot: racktest.Boot}, true
		},
	})
	// The image for a test is the parameters themselves.
	image := func(p rackagent.Parameters) (io.ReadSeeker, error) {
		line, err := p.CommandLine()
		return strings.NewReader(line), err
	}
	r.server = httptest.NewTLSServer(racks.Handler(r.rack, image, slog.New(slog.DiscardHandler)))
	t.Cleanup(r.server.Close)
	r.servers = racktest.New(t, n, r.calls())
	r.runner = job.NewRunner(job.Config{
		DB: r.db, Queue: queue, Clock: c, Real: db.Time, Log: slog.New(slog.DiscardHandler), Workers: 4,
	})
	r.runner.Handle(rack.KindMachine, r.rack.Work)
	r.enroll()
	r.run()
	return r
}

// calls are the agent's calls by HTTPS.
func (r *rig) calls() racktest.Calls {
	return racktest.Calls{
		Now: r.clock.Now,
		Image: func(ctx context.Context, token string) (rackagent.Parameters, error) {
			line, err := r.ask(ctx, "GET", rack.ISOPath+token+".iso", "", nil)
			if err != nil {
				return rackagent.Parameters{}, err
			}
			return rackagent.ParseCommandLine(string(line))
		},
		Job: func(ctx context.Context, p rackagent.Parameters) (j rackagent.Job, err error) {
			text, err := r.ask(ctx, "GET", rackagent.JobPath, p.Token, nil)
			return j, errors.Join(err, json.Unmarshal(text, &j))
		},
		Report: func(ctx context.Context, p rackagent.Parameters, report rackagent.Report) error {
			text, err := json.Marshal(report)
			if err == nil {
				_, err = r.ask(ctx, "POST", rackagent.ReportsPath, p.Token, text)
			}
			return err
		},
	}
}

func (r *rig) ask(ctx context.Context, method, path, token string, body []byte) ([]byte, error) {
	status, text, err := r.send(ctx, method, path, token, body)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, text)
	}
	return text, err
}

func (r *rig) send(ctx context.Context, method, path, token string, body []byte) (int, []byte, error) {
	q, err := http.NewRequestWithContext(ctx, method, r.server.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := r.server.Client().Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, text, err
}

func ptr[T any](v T) *T { return &v }

// enroll enters the servers, and two images.
func (r *rig) enroll() {
	r.t.Helper()
	err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for _, name := range []string{"Debian 12", "Ubuntu 24.04"} {
			if _, err := r.rack.SetImage(ctx, tx, rack.Image{
				Name: name, URL: "https://images.example.com/x.raw", SHA256: strings.Repeat("ab", 32),
				Format: rackagent.Raw, Bytes: 1 << 30,
			}); err != nil {
				return err
			}
		}
		for _, s := range r.servers {
			m, err := r.rack.Add(ctx, tx, rack.MachineFields{
				Name: &s.Name, BMCURL: &s.Address.URL, BMCUser: &s.Address.User, BMCPassword: &s.Address.Password,
				BMCCertificate: &s.Address.CertificateSHA256, MACs: &[]string{s.MAC}, Address: ptr(s.Host + "/8"),
				Region: ptr("oslo-1"), HourlyPrice: ptr(money.Dollars(12)), GPUType: ptr("NVIDIA H100"),
				GPUCount: ptr(int64(8)), GPUMemoryGB: ptr(int64(80)),
			})
			if err != nil {
				return err
			}
			if _, err := r.rack.Inspect(ctx, tx, m.ID, ""); err != nil {
				return err
			}
			r.machines = append(r.machines, m.ID)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// run does what is due until the servers have nothing left to do.
func (r *rig) run() {
	for range 4 {
		if err := r.runner.Drain(context.Background()); err != nil {
			r.t.Fatal(err)
		}
		for _, s := range r.servers {
			s.Settle()
		}
	}
}

func (r *rig) at(address string) *racktest.Server {
	for _, s := range r.servers {
		if s.Host == address {
			return s
		}
	}
	return nil
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		r := newRig(t, 3)
		return providertest.Harness{
			Provider: racks.New(r.db, r.rack),
			Reopen:   func() provider.Provider { return racks.New(r.db, r.rack) },
			Advance: func(d time.Duration) {
				r.clock.Advance(d)
				r.run()
			},
			Port: func(address string) int {
				if s := r.at(address); s != nil {
					return s.Port()
				}
				return 0
			},
			WriteFile: func(m provider.Machine, path, text string) error {
				r.at(m.Address).WriteFile(path, text)
				return nil
			},
			ReadFile: func(m provider.Machine, path string) (string, error) { return r.at(m.Address).ReadFile(path) },
		}
	})
}

// A caller without the token of a job that runs learns nothing.
func TestHandler_Refuses(t *testing.T) {
	r := newRig(t, 1)
	large := []byte(`{"jobId": "` + strings.Repeat("x", rackagent.MaxMessage) + `"}`)
	for name, c := range map[string]struct {
		method, path, token string
		body                []byte
		want                int
	}{
		"no token":        {"GET", rackagent.JobPath, "", nil, 403},
		"another token":   {"GET", rackagent.JobPath, strings.Repeat("a", 43), nil, 403},
		"its image":       {"GET", rack.ISOPath + strings.Repeat("a", 43) + ".iso", "", nil, 403},
		"another file":    {"GET", rack.ISOPath + "x", "", nil, 403},
		"a report":        {"POST", rackagent.ReportsPath, "x", []byte(`{}`), 403},
		"no JSON":         {"POST", rackagent.ReportsPath, "x", []byte(`{`), 403},
		"a long report":   {"POST", rackagent.ReportsPath, "x", large, 403},
		"another path":    {"GET", "/api/v1/inventory", "", nil, 404},
		"another method":  {"DELETE", rackagent.JobPath, "", nil, 405},
		"a used token":    {"GET", rackagent.JobPath, r.used(), nil, 403},
		"its image again": {"GET", rack.ISOPath + r.used() + ".iso", "", nil, 403},
	} {
		status, text, err := r.send(t.Context(), c.method, c.path, c.token, c.body)
		if err != nil || status != c.want {
			t.Errorf("%s: %d %s, %v, want %d", name, status, text, err, c.want)
		}
	}
	token := r.inspecting()
	for name, c := range map[string]struct {
		body []byte
		want int
	}{
		"no JSON": {[]byte(`{`), 400}, "a long report": {large, 413}, "another job": {[]byte(`{}`), 403},
	} {
		status, text, err := r.send(t.Context(), "POST", rackagent.ReportsPath, token, c.body)
		if err != nil || status != c.want {
			t.Errorf("%s, with a valid token: %d %s, %v, want %d", name, status, text, err, c.want)
		}
	}
}

// A caller without a valid token is refused before its body is read, and one with a token cannot
// have several read at once.
func TestHandler_ReadsNoBody(t *testing.T) {
	r := newRig(t, 1)
	begin := func(token string) (int, *io.PipeWriter, error) {
		body, w := io.Pipe()
		t.Cleanup(func() { _ = w.Close() })
		q, err := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+rackagent.ReportsPath, body)
		if err != nil {
			return 0, w, err
		}
		q.ContentLength = rackagent.MaxMessage // the server would read the rest of a small one
		q.Header.Set("Authorization", "Bearer "+token)
		a, err := r.server.Client().Do(q)
		if err != nil {
			return 0, w, err
		}
		_ = a.Body.Close()
		return a.StatusCode, w, nil
	}
	// The body never ends, so that only a server that does not wait for it answers.
	if status, _, err := begin(strings.Repeat("a", 43)); err != nil || status != 403 {
		t.Errorf("without a valid token: %d, %v", status, err)
	}
	token := r.inspecting()
	first := make(chan error, 1)
	body, w := io.Pipe()
	q, err := http.NewRequestWithContext(t.Context(), "POST", r.server.URL+rackagent.ReportsPath, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	go func() {
		a, err := r.server.Client().Do(q)
		if err == nil {
			_ = a.Body.Close()
		}
		first <- err
	}()
	// The pipe and the connection take the first bytes only; a megabyte is taken by a server that
	// reads this body.
	if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if status, _, err := begin(token); err != nil || status != 503 {
		t.Errorf("while another report of the token is received: %d, %v", status, err)
	}
	_ = w.Close()
	if err := <-first; err != nil {
		t.Error(err)
	}
	status, _, err := r.send(t.Context(), "POST", rackagent.ReportsPath, token, []byte(`{`))
	if err != nil || status != 400 {
		t.Errorf("afterwards: %d, %v", status, err)
	}
}

// Connections beyond the limit are closed; another is accepted when one has ended.
func TestLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := racks.Limit(l)
	t.Cleanup(func() { _ = limited.Close() })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var last net.Conn
	for range 64 {
		dial()
		if last, err = limited.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := limited.Accept()
		accepted <- c
	}()
	if n, err := dial().Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection beyond the limit was not closed: %d bytes", n)
	}
	_ = last.Close()
	_ = last.Close() // counts once
	dial()
	if c := <-accepted; c == nil {
		t.Error("no connection was accepted after one had ended")
	}
}

// inspecting has the server inspected again by an agent that is silent, and returns its token.
func (r *rig) inspecting() string {
	r.t.Helper()
	s := r.servers[0]
	s.Script(func(rackagent.Job, *rackagent.Report) bool { return false })
	err := r.db.InTx(r.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := r.rack.Inspect(ctx, tx, r.machines[0], "")
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.run()
	_, token, _ := strings.Cut(s.BMC.State().CD, rack.ISOPath)
	return strings.TrimSuffix(token, ".iso")
}

// used returns a token whose job has ended.
func (r *rig) used() string {
	for _, url := range r.servers[0].BMC.State().Boots {
		if _, token, found := strings.Cut(url, rack.ISOPath); found {
			return strings.TrimSuffix(token, ".iso")
		}
	}
	r.t.Fatal("no image was started")
	return ""
}

// A machine without a BMC is offered to trusted tenants only, apart from those that are alike, and
// without power.
func TestAMachineWithoutABMCIsForTrustedTenants(t *testing.T) {
	r := newRig(t, 1)
	h := racktest.NewHost(t, r.calls())
	err := r.db.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		m, err := r.rack.Add(ctx, tx, rack.MachineFields{
			Name: ptr("host"), SSHAddress: &h.At, SSHHostKey: ptr(h.HostKey()), IdleImage: ptr("Debian 12"),
			MACs: &[]string{"3c:ec:ef:00:00:99"}, Address: ptr("127.0.77.99/8"), Region: ptr("oslo-1"),
			HourlyPrice: ptr(money.Dollars(12)), GPUType: ptr("NVIDIA H100"), GPUCount: ptr(int64(8)),
			GPUMemoryGB: ptr(int64(80)),
		})
		if err != nil {
			return err
		}
		h.MAC = m.MACs[0]
		h.Accept(m.SSHPublicKey)
		_, err = r.rack.Inspect(ctx, tx, m.ID, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		r.run()
		h.Settle()
	}
	all, _, err := r.rack.List(t.Context(), r.db, rack.Filter{}, db.Page{Number: 1, Limit: 10})
	if err != nil || all[0].State != rack.Ready {
		t.Fatalf("%+v, %v", all, err)
	}
	offers, err := racks.New(r.db, r.rack).Offers(t.Context())
	if err != nil || len(offers) != 2 {
		t.Fatalf("%+v, %v", offers, err)
	}
	for _, o := range offers {
		if can := o.Capabilities; can.Power == o.TrustedTenantsOnly || can.Reboot == o.TrustedTenantsOnly ||
			!can.Reinstall || o.Stock == nil || *o.Stock != 1 {
			t.Errorf("%+v", o)
		}
	}
	if offers[0].TrustedTenantsOnly == offers[1].TrustedTenantsOnly {
		t.Errorf("%+v", offers)
	}
}
