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
	t       *testing.T
	clock   *clock.Simulated
	db      *db.DB
	rack    *rack.Service
	runner  *job.Runner
	server  *httptest.Server
	servers []*racktest.Server
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
		Open: func(ctx context.Context, a bmc.Address) (*bmc.BMC, error) {
			a.Wait = 100 * time.Millisecond
			return bmc.Open(ctx, a)
		},
		Server: func() (rack.Server, bool) {
			return rack.Server{URL: r.server.URL, Pin: strings.Repeat("ab", 32)}, true
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
		"no JSON":         {"POST", rackagent.ReportsPath, "x", []byte(`{`), 400},
		"a long report":   {"POST", rackagent.ReportsPath, "x", large, 413},
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
