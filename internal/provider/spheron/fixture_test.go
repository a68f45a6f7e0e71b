package spheron_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/spheron"
	"github.com/billetcloud/billet/internal/provider/spheron/spherontest"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

const keyLine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMEv2XJ4XLDeEqoSAjZQ5qyIKbOgCxeSPFjLzKGSXLFr user"

// fixture is an adapter, its fake, its log and how long it waited for its budget.
type fixture struct {
	*testing.T
	cloud   *spherontest.Cloud
	account upstream.Account
	log     *bytes.Buffer
	slept   time.Duration
	*spheron.Adapter
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	b := &fixture{T: t, cloud: spherontest.Serve(t), log: &bytes.Buffer{}}
	b.account = b.cloud.Account()
	b.account.Log = slog.New(slog.NewTextHandler(b.log, nil))
	b.account.Unknown = func(what string) { t.Errorf("unknown field: %s", what) }
	b.account.Sleep = func(ctx context.Context, d time.Duration) error {
		b.slept += d
		b.cloud.Advance(d)
		return ctx.Err()
	}
	b.restart()
	return b
}

// restart drops everything in memory.
func (b *fixture) restart() {
	b.Helper()
	a, err := spheron.New(b.account)
	if err != nil {
		b.Fatal(err)
	}
	b.Adapter = a
}

func reference(n int) id.ID { return id.ID(fmt.Sprintf("dep_01jd%022d", n)) }

// request requests the cheap offer.
func (b *fixture) request(n int) provider.LaunchRequest {
	b.Helper()
	return provider.LaunchRequest{
		Reference: reference(n), OfferKey: "spheron-ai/rtx-4090/DEDICATED/1/sa-4090",
		Region: "spheron-ai-us-dallas-1", OperatingSystem: "ubuntu-22.04", AuthorizedKeys: []string{keyLine},
	}
}

// running launches a machine and lets it boot.
func (b *fixture) running(n int) provider.Machine {
	b.Helper()
	if _, err := b.Launch(b.Context(), b.request(n)); err != nil {
		b.Fatal(err)
	}
	b.cloud.Advance(2 * time.Minute)
	m, err := b.Machine(b.Context(), reference(n))
	if err != nil || m.State != provider.MachineReady {
		b.Fatalf("%+v, %v", m, err)
	}
	return m
}

// count returns how many requests of that method to paths with that prefix were sent since.
func (b *fixture) count(since int, method, path string) (n int) {
	for _, r := range b.cloud.Requests()[since:] {
		if r.Method == method && strings.HasPrefix(r.Path, path) {
			n++
		}
	}
	return n
}

func (b *fixture) sent() int { return len(b.cloud.Requests()) }

func (b *fixture) wantState(n int, want provider.MachineState, detail string) provider.Machine {
	b.Helper()
	m, err := b.Machine(b.Context(), reference(n))
	if err != nil || m.State != want || m.Detail != detail || m.Reference != reference(n) {
		b.Errorf("got %+v, %v, want %s (%s)", m, err, want, detail)
	}
	return m
}

func wantKind(t *testing.T, what string, err error, want provider.Kind) *provider.Error {
	t.Helper()
	e, is := errors.AsType[*provider.Error](err)
	if !is || e.Kind != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
		return &provider.Error{}
	}
	return e
}

// canned returns an adapter whose cloud answers each path with that body, and others with 404.
func canned(t *testing.T, bodies map[string]string) *spheron.Adapter {
	t.Helper()
	s := upstreamtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if page := r.URL.Query().Get("page"); page != "" && page != "1" {
			path += "?" + page
		}
		body, known := bodies[path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, body)
	}))
	a, err := spheron.New(s.Account("spheron"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
