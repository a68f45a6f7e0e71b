package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
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
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/sim"
	"github.com/billetcloud/billet/internal/wallet"
	"golang.org/x/crypto/ssh"
)

// market is what the servers of one run share: the simulator and the warehouse.
type market struct {
	dir       string
	clock     *clock.Simulated
	world     *sim.World
	providers *provider.Registry
}

func openMarket(ctx context.Context, dir string, offers int) (*market, error) {
	m := &market{dir: dir, clock: clock.NewSimulated(0)}
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, err
	}
	if m.world, err = sim.Open(
		ctx,
		sim.Config{
			Dir: filepath.Join(dir, "sim"), Clock: m.clock, Log: slog.New(slog.DiscardHandler),
			Listen: sim.ListenBanner,
		},
	); err != nil {
		return nil, err
	}
	m.providers = provider.NewRegistry(append(
		m.world.Providers(), &warehouse{offers: offers, machines: map[id.ID]provider.Machine{}},
	)...)
	return m, nil
}

// server is the server over one database, as `billetd serve` builds it.
type server struct {
	*app.App
	m *market
	d *db.DB
}

// build builds the server over an open database, and closes the database with it.
func build(ctx context.Context, m *market, d *db.DB, log *slog.Logger) (*server, error) {
	dir, err := os.MkdirTemp(m.dir, "server")
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	c := app.Default()
	c.DataDir, c.Database, c.Providers, c.Log, c.Markup, c.Version = dir, d, m.providers.All(), log, "10", "bench"
	c.SecretKey = base64.StdEncoding.EncodeToString(
		make([]byte, 32),
	) // several servers open one database in turn
	// The warehouse has no machines.
	c.Probe = func(context.Context, provider.Endpoint) (string, error) { return "", nil }
	a, err := app.Open(ctx, c)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &server{App: a, m: m, d: d}, nil
}

// requestLog returns the server's log at its usual level, written to a null device: its cost
// counts.
func requestLog() (*slog.Logger, func() error, error) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, nil)), f.Close, nil
}

// sync polls every provider once.
func (h *server) sync(ctx context.Context) error {
	for _, p := range h.m.providers.All() {
		if _, err := h.Catalog().Sync(ctx, job.Subject("provider", p.Info().Slug)); err != nil {
			return err
		}
	}
	return h.Catalog().Load(ctx)
}

// tenant is an account with money and a key with very high limits.
type tenant struct {
	account id.ID
	secret  string
}

func (h *server) tenant(ctx context.Context, name string, credit money.Micros) (t tenant, err error) {
	err = h.d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		a, err := h.Accounts.Create(ctx, tx, name)
		if err != nil {
			return err
		}
		t.account = a.ID
		if err := h.Wallet.Open(ctx, tx, a.ID); err != nil {
			return err
		}
		most := account.MaxLimit
		_, t.secret, err = h.Accounts.CreateKey(
			ctx, tx, a.ID,
			account.KeyRequest{Name: name, Limits: account.LimitOverrides{Read: &most, Write: &most, Deploy: &most}},
		)
		return err
	})
	if err == nil && credit > 0 {
		err = h.credit(ctx, t, credit)
	}
	return t, err
}

func (h *server) credit(ctx context.Context, t tenant, amount money.Micros) error {
	return h.d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := h.Wallet.Credit(
			ctx, tx,
			wallet.Credit{
				Account: t.account, Type: wallet.TypeTopUp, Amount: amount, Description: "paid in",
				Dedupe: "bench/" + string(t.account),
			},
		)
		return err
	})
}

// newPublicKey returns a new key as a line.
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

// run creates n running deployments at the warehouse, through the packages.
func (h *server) run(ctx context.Context, t tenant, n int) error {
	offers, _ := h.Catalog().Default().List(catalog.Query{Provider: depot, Available: new(true)})
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
			d, err = h.Deployments().Create(ctx, tx, t.account, deployment.CreateRequest{
				OfferID: offers[i*13%len(offers)].ID, Name: fmt.Sprintf("training-run-%04d", i),
				SSHPublicKey: &key, OperatingSystem: &system,
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
			if _, err := h.Deployments().Reconcile(ctx, d.ID); err != nil {
				return err
			}
			if d, err = h.Deployments().Get(ctx, h.d, t.account, d.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve serves the handler on a free loopback port with the server's own timeouts.
func serve(handler http.Handler) (address string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
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
