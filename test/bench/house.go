package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/finding"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/idempotency"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/quote"
	"github.com/billetcloud/billet/internal/ratelimit"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/sshkey"
	"github.com/billetcloud/billet/internal/volume"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"
)

// market is what the houses of one run have in common: the simulator and the warehouse.
type market struct {
	clock     *clock.Simulated
	world     *sim.World
	providers *provider.Set
}

func openMarket(ctx context.Context, dir string, offers int) (*market, error) {
	m := &market{clock: clock.NewSimulated(0)}
	var err error
	if m.world, err = sim.Open(ctx, sim.Config{Dir: filepath.Join(dir, "sim"), Clock: m.clock, Log: slog.New(slog.DiscardHandler), Listen: sim.ListenBanner}); err != nil {
		return nil, err
	}
	m.providers = provider.NewSet(append(m.world.Providers(), &warehouse{offers: offers, machines: map[id.ID]provider.Machine{}})...)
	return m, nil
}

// house is the rooms over one database, as the server builds them.
type house struct {
	m           *market
	d           *db.DB
	ids         *id.Maker
	accounts    *account.Service
	wallet      *wallet.Ledger
	meter       *meter.Meter
	catalog     *catalog.Catalog
	deployments *deployment.Service
	handler     http.Handler
}

func build(m *market, d *db.DB, log *slog.Logger) *house {
	h := &house{m: m, d: d, ids: id.NewMaker(m.clock, rand.Reader)}
	jobs, events := job.NewQueue(h.ids), event.New(h.ids)
	secrets, err := secret.New(make([]byte, 32))
	if err != nil {
		panic(err) // the length is right
	}
	h.accounts = account.New(account.Config{DB: d, IDs: h.ids, Rand: rand.Reader, Clock: m.clock, Real: time.Now, Secrets: secrets})
	h.wallet = wallet.New(wallet.Config{DB: d, IDs: h.ids})
	h.meter = meter.New(meter.Config{DB: d, Wallet: h.wallet, Events: events, Jobs: jobs})
	h.catalog = catalog.New(catalog.Config{DB: d, IDs: h.ids, Clock: m.clock, Providers: m.providers, Jobs: jobs, Log: log, Markup: func(string) int64 { return 1000 }})
	keys := sshkey.New(sshkey.Config{DB: d, IDs: h.ids})
	findings := finding.New(finding.Config{IDs: h.ids, Jobs: jobs, Log: log})
	volumes := volume.New(volume.Config{
		DB: d, IDs: h.ids, Clock: m.clock, Log: log, Catalog: h.catalog, Meter: h.meter, Wallet: h.wallet, Providers: m.providers, Events: events, Findings: findings, Jobs: jobs,
	})
	h.deployments = deployment.New(deployment.Config{
		DB: d, IDs: h.ids, Clock: m.clock, Log: log, Catalog: h.catalog, SSHKeys: keys, Volumes: volumes, Wallet: h.wallet, Meter: h.meter,
		Events: events, Findings: findings, Jobs: jobs, Providers: m.providers, Quotes: quote.New(h.ids), Probe: func(context.Context, string) error { return nil },
	})
	h.handler = httpapi.New(httpapi.Config{
		DB: d, IDs: h.ids, Clock: m.clock, Real: time.Now, Log: log, Registry: prometheus.NewRegistry(), Limiter: ratelimit.NewMemory(time.Now),
		Accounts: h.accounts, Audit: audit.New(h.ids), Catalog: h.catalog, SSHKeys: keys, Wallet: h.wallet, Meter: h.meter, Volumes: volumes, Deployments: h.deployments, Quotes: quote.New(h.ids),
		Events: events, Findings: findings, Operator: operator.New(operator.Config{IDs: h.ids, Accounts: h.accounts, Wallet: h.wallet, Jobs: jobs}),
		Idempotency: idempotency.New(idempotency.Config{DB: d, Clock: m.clock}), Version: "bench",
	})
	return h
}

// requestLog is the server's log at its usual level, written to where nothing is kept: what it costs counts.
func requestLog() (*slog.Logger, func() error, error) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, nil)), f.Close, nil
}

// sync has every provider asked once.
func (h *house) sync(ctx context.Context) error {
	for _, p := range h.m.providers.All() {
		if _, err := h.catalog.Sync(ctx, job.Subject("provider", p.Info().Slug)); err != nil {
			return err
		}
	}
	return h.catalog.Load(ctx)
}

// tenant is an account with money and a key that hardly any limit holds back.
type tenant struct {
	account id.ID
	secret  string
}

func (h *house) tenant(ctx context.Context, name string, credit money.Micros) (t tenant, err error) {
	err = h.d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		a, err := h.accounts.Create(ctx, tx, name)
		if err != nil {
			return err
		}
		t.account = a.ID
		if err := h.wallet.Open(ctx, tx, a.ID); err != nil {
			return err
		}
		most := account.MaxLimit
		_, t.secret, err = h.accounts.CreateKey(ctx, tx, a.ID, account.KeyRequest{Name: name, Limits: account.LimitOverrides{Read: &most, Write: &most, Deploy: &most}})
		return err
	})
	if err == nil && credit > 0 {
		err = h.credit(ctx, t, credit)
	}
	return t, err
}

func (h *house) credit(ctx context.Context, t tenant, amount money.Micros) error {
	return h.d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := h.wallet.Credit(ctx, tx, wallet.Credit{Account: t.account, Type: wallet.TypeTopUp, Amount: amount, Description: "paid in", Dedupe: "bench/" + string(t.account)})
		return err
	})
}

// newPublicKey is a new key, as a line.
func newPublicKey() (string, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " user@machine", nil
}

// run makes n running deployments at the warehouse, through the rooms.
func (h *house) run(ctx context.Context, t tenant, n int) error {
	offers, _ := h.catalog.Usual().List(catalog.Query{Provider: depot, Available: new(true)})
	if len(offers) == 0 {
		return errors.New("the warehouse is empty")
	}
	key, err := newPublicKey()
	if err != nil {
		return err
	}
	system := "Ubuntu 22.04"
	for i := range n {
		var d deployment.Deployment
		err := h.d.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			d, err = h.deployments.Create(ctx, tx, t.account, deployment.CreateRequest{
				OfferID: offers[i*13%len(offers)].ID, Name: fmt.Sprintf("training-run-%04d", i), SSHPublicKey: &key, OperatingSystem: &system,
				Tags: []string{"bench", fmt.Sprintf("team-%d", i%7)},
			})
			return err
		})
		if err != nil {
			return err
		}
		for try := 0; d.Status != deployment.StatusRunning; try++ {
			if try == 5 {
				return fmt.Errorf("deployment %s is still %s", d.ID, d.Status)
			}
			if _, err := h.deployments.Reconcile(ctx, d.ID); err != nil {
				return err
			}
			if d, err = h.deployments.Get(ctx, h.d, t.account, d.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve serves the handler on a free port of the loopback address with the server's own time-outs.
func serve(handler http.Handler) (address string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return l.Addr().String(), func() error {
		err := s.Close()
		if e := <-done; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}
