package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/racks"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rackagent"
)

// isoTime is how long a BMC may take to read the agent's image.
const isoTime = time.Hour

func (c Config) checkRacks() error {
	if c.RacksListen == "" {
		if c.RacksURL != "" || c.RacksAgentISO != "" {
			return errors.New("--racks-url and --racks-agent-iso need --racks-listen")
		}
		return nil
	}
	var errs []error
	if _, _, err := net.SplitHostPort(c.RacksListen); err != nil {
		errs = append(errs, fmt.Errorf("--racks-listen: %w", err))
	}
	if u, err := url.Parse(c.RacksURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("--racks-url must be how BMCs and servers reach --racks-listen, such as "+
			"https://10.0.0.2:8444"))
	}
	if c.RacksAgentISO == "" && c.AgentImage == nil {
		errs = append(errs, errors.New("--racks-listen needs --racks-agent-iso, the image of the agent"))
	}
	if c.Sim {
		errs = append(errs, errors.New("--racks-listen and --sim cannot be used together: own servers run by real "+
			"time"))
	}
	return errors.Join(errs...)
}

// racksServer returns where machines reach this server; false if it does not serve them.
func (o *Operator) racksServer() (rack.Server, bool) {
	if s := o.racks.Load(); s != nil {
		return *s, true
	}
	return rack.Server{}, false
}

// ownRacks returns the provider of the operator's own servers, if there are any. Beside a simulated
// clock there are none.
func (a *App) ownRacks(ctx context.Context) ([]provider.Provider, error) {
	has, err := a.Machines.Any(ctx, a.DB)
	if err != nil || !has || a.cfg.Sim {
		return nil, err
	}
	return []provider.Provider{racks.New(a.DB, a.Machines)}, nil
}

// listenRacks returns the server of the provisioning network with its listener; nil if there is
// none.
func (a *App) listenRacks(ctx context.Context) (*http.Server, net.Listener, error) {
	if a.cfg.RacksListen == "" {
		return nil, nil, nil
	}
	image, boot := a.cfg.AgentImage, a.cfg.AgentBoot
	if image == nil {
		var err error
		if image, boot, err = a.openAgentISO(); err != nil {
			return nil, nil, fmt.Errorf("--racks-agent-iso: %w", err)
		}
	}
	c, pin, err := a.Machines.Certificate(ctx)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", a.cfg.RacksListen)
	if err != nil {
		return nil, nil, fmt.Errorf("--racks-listen: %w", err)
	}
	server := a.server(racks.Handler(a.Machines, image, a.cfg.Log))
	server.ReadTimeout, server.WriteTimeout = time.Minute, isoTime
	a.racks.Store(&rack.Server{URL: strings.TrimSuffix(a.cfg.RacksURL, "/"), Pin: pin, Boot: boot})
	return server, tls.NewListener(racks.Limit(l), &tls.Config{
		Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12,
	}), nil
}

// openAgentISO opens the agent's image, which stays open. What machines without a BMC start is read
// from it when it is first needed.
func (a *App) openAgentISO() (racks.Image, func() (rackagent.Boot, error), error) {
	f, err := os.Open(a.cfg.RacksAgentISO)
	if err != nil {
		return nil, nil, err
	}
	a.closers = append(a.closers, func() error { return ignoreClosed(f.Close()) })
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	iso, err := rackagent.OpenISO(f, info.Size())
	if err != nil {
		return nil, nil, err
	}
	image := func(p rackagent.Parameters) (io.ReadSeeker, error) { return iso.For(p) }
	return image, sync.OnceValues(iso.Boot), nil
}
