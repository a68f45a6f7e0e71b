package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
)

// offerQueries are sent in turn.
var offerQueries = []string{
	"available=true&minGpuCount=4&sort=pricePerGpu",
	"gpuType=NVIDIA%20H200&available=true",
	"search=b200%20dallas&sort=-price",
	"region=oslo-nor-1&maxHourlyPrice=30&page=3",
}

// calls fills a database and measures the calls of the API on it.
func calls(ctx context.Context, s *site, o options, t *table) (err error) {
	m, err := openMarket(ctx, filepath.Join(s.dir, string(s.engine)), o.offers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.world.Close()) }()
	if err := s.make(ctx, "calls", m.clock); err != nil {
		return err
	}
	log, closeLog, err := requestLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()

	var c tenants
	if err := c.prepare(ctx, s, o, t, m, log); err != nil {
		return err
	}
	if o.wants("wallet") {
		if err := c.fillWallet(ctx, s, o, t); err != nil {
			return err
		}
	}

	d, err := s.open(ctx, "calls", m.clock)
	if err != nil {
		return err
	}
	h, err := build(ctx, m, d, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.sync(ctx); err != nil {
		return err
	}
	if o.wants("wallet") { // something runs on it
		if err := h.credit(ctx, c.whale, money.Dollars(10_000)); err != nil {
			return err
		}
		if err := h.run(ctx, c.whale, 3); err != nil {
			return err
		}
	}
	asking, endAsking := context.WithCancel(ctx)
	defer endAsking()
	go h.keepAsking(asking, job.Subject("provider", m.world.Providers()[0].Info().Slug), log)
	address, stop, err := serve(h.Handler())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b := &bench{s: s, o: o, t: t, m: m, h: h, address: address}
	if b.read, b.write, err = s.straight("calls", d); err != nil {
		return err
	}
	if s.engine == db.SQLite {
		defer func() { err = errors.Join(err, b.read.Close(), b.write.Close()) }()
	}
	if err := b.reads(ctx, c); err != nil {
		return err
	}
	if o.wants("deploy") {
		return b.deploy(ctx, c.deployers)
	}
	return nil
}

// tenants are those whose calls are measured: one with deployments, one with a long
// statement, and one for each connection that deploys.
type tenants struct {
	lister, whale tenant
	deployers     []tenant
}

// prepare creates the tenants, and the lister's deployments.
func (c *tenants) prepare(
	ctx context.Context, s *site, o options, t *table, m *market, log *slog.Logger,
) (err error) {
	d, err := s.open(ctx, "calls", m.clock)
	if err != nil {
		return err
	}
	settings, err := s.settings(ctx, d)
	if err != nil {
		return err
	}
	t.note("%s: %s", s.engine, settings)
	if err := s.hurry(ctx, d); err != nil {
		return err
	}
	h, err := build(ctx, m, d, log)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	if err := h.sync(ctx); err != nil {
		return err
	}
	if c.lister, err = h.tenant(ctx, "lister", money.Dollars(1_000_000)); err != nil {
		return err
	}
	if err := h.run(ctx, c.lister, o.deployments); err != nil {
		return err
	}
	if c.whale, err = h.tenant(ctx, "whale", 0); err != nil {
		return err
	}
	for range o.connections {
		d, err := h.tenant(ctx, "deployer", money.Dollars(100_000_000))
		if err != nil {
			return err
		}
		c.deployers = append(c.deployers, d)
	}
	return nil
}

func (c *tenants) fillWallet(ctx context.Context, s *site, o options, t *table) error {
	start := time.Now()
	pool, err := s.loose("calls")
	if err != nil {
		return err
	}
	if err := errors.Join(fillEntries(ctx, s.engine, pool, c.whale.account, o.entries), pool.Close()); err != nil {
		return err
	}
	t.note(
		"%s: %d entries of one wallet, two for each line of its statement, were filled in %s.", s.engine,
		o.entries, time.Since(start).Round(100*time.Millisecond),
	)
	return nil
}

// keepAsking polls one provider every three seconds, as in a server with twenty providers that are
// polled once a minute: each answer invalidates the cached offers.
func (h *server) keepAsking(ctx context.Context, provider id.ID, log *slog.Logger) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := h.Catalog().Sync(ctx, provider); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "ask a provider", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reads measures the calls that change nothing.
func (b *bench) reads(ctx context.Context, c tenants) error {
	if b.o.wants("offers") {
		var targets []string
		for _, q := range offerQueries {
			targets = append(targets, httpapi.Base+"/offers?"+q)
		}
		if err := b.beside(
			ctx, "GET /offers, 20 of "+strconv.Itoa(b.o.offers), c.lister, 0.6, 0, "", targets...,
		); err != nil {
			return err
		}
		const number = "0000000000"
		if err := b.beside(
			ctx, "GET /offers, never the same query", c.lister, 0, 0, number,
			httpapi.Base+"/offers?available=true&sort=pricePerGpu&maxHourlyPrice=1"+number,
		); err != nil {
			return err
		}
	}
	if b.o.wants("deployments") {
		if err := b.beside(
			ctx, "GET /deployments, 20 of "+strconv.Itoa(b.o.deployments), c.lister, 0, 0.5, "",
			httpapi.Base+"/deployments",
		); err != nil {
			return err
		}
	}
	if b.o.wants("wallet") {
		return b.beside(
			ctx, fmt.Sprintf("GET /wallet, %d entries", b.o.entries), c.whale, 0, 0.5, "", httpapi.Base+"/wallet",
		)
	}
	return nil
}

// bench is what the comparisons of one engine share.
type bench struct {
	s       *site
	o       options
	t       *table
	m       *market
	h       *server
	address string
	// read and write are plain pools.
	read, write *sql.DB
}

// beside measures a GET beside a bare handler that writes the same bytes, and beside its own
// statements. The aims are those of the two ratios; 0 is none. A call without statements is
// compared with the handler only. If vary is not empty, each request has another number in its
// place.
func (b *bench) beside(
	ctx context.Context,
	what string,
	who tenant,
	bareAim, statementsAim float64,
	vary string,
	targets ...string,
) error {
	var requests [][]byte
	for _, target := range targets {
		requests = append(requests, request("GET", target, who.secret, ""))
	}
	bare, stop, err := b.bare(targets, requests)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	next := func(n int) []byte { return requests[n%len(requests)] }
	if vary != "" {
		next = func(n int) []byte {
			return bytes.Replace(requests[n%len(requests)], []byte(vary), fmt.Appendf(nil, "%0*d", len(vary), n), 1)
		}
	}
	ours, hangUp, err := callers(b.o.connections, b.address, "200", next)
	if err != nil {
		return err
	}
	defer hangUp()
	theirs, hangUpBare, err := callers(b.o.connections, bare, "200", next)
	if err != nil {
		return err
	}
	defer hangUpBare()
	steps, err := b.recorded(ctx, requests[0], func() []byte { return requests[0] }, "200")
	if err != nil {
		return err
	}
	sides := []*side{ours, theirs}
	if len(steps) > 0 {
		sides = append(sides, b.statements(func(int) []step { return steps })...)
	}
	if err := compare(ctx, b.o.turns, b.o.turn, sides...); err != nil {
		return err
	}
	b.t.noteLost(what, b.s.engine, ours, theirs)
	b.t.add(what, b.s.engine, ours, theirs, "bare handler", bareAim)
	b.addStatements(what, ours, sides[2:], count(steps), statementsAim)
	return nil
}

// statements returns the sides that run recorded statements: directly on the database, and, if
// that differs, on the server's own pools, which keep prepared statements.
func (b *bench) statements(steps func(worker int) []step) []*side {
	read, write := b.h.d.Pools()
	pools := [][2]*sql.DB{{b.read, b.write}}
	if read != b.read {
		pools = append(pools, [2]*sql.DB{read, write})
	}
	var out []*side
	for _, p := range pools {
		s := &side{}
		for i := range b.o.connections {
			s.workers = append(s.workers, func(ctx context.Context) error { return repeat(ctx, p[0], p[1], steps(i)) })
		}
		out = append(out, s)
	}
	return out
}

func (b *bench) addStatements(what string, ours *side, sides []*side, how string, aim float64) {
	for i, s := range sides {
		if i > 0 {
			how, aim = "the same, prepared before", 0
		}
		b.t.add(what, b.s.engine, ours, s, how, aim)
	}
}

// bare serves the API's answers from a handler that does nothing else.
func (b *bench) bare(targets []string, requests [][]byte) (address string, stop func() error, err error) {
	c, err := dial(b.address)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = c.conn.Close() }()
	bodies := map[string][]byte{}
	for i, r := range requests {
		body, err := c.call(r, "200", true)
		if err != nil {
			return "", nil, err
		}
		bodies[targets[i]] = body
	}
	return serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := bodies[r.RequestURI]
		if !known {
			body = bodies[targets[0]]
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
}

// recorded returns a call's statements immediately after another call with the same key, so that
// the key need not be read again, as in nearly all measured calls.
func (b *bench) recorded(ctx context.Context, before []byte, r func() []byte, status string) (steps []step, err error) {
	d, heard, err := b.s.listen("calls", b.m.clock)
	if err != nil {
		return nil, err
	}
	h, err := build(ctx, b.m, d, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.Catalog().Load(ctx); err != nil {
		return nil, err
	}
	address, stop, err := serve(h.Handler())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	for range 50 {
		start := time.Now()
		if _, err := c.call(before, "200", false); err != nil { // the caches are filled as in a busy server
			return nil, err
		}
		heard.take()
		if _, err := c.call(r(), status, false); err != nil {
			return nil, err
		}
		if steps = heard.take(); time.Since(start) < account.KeyFresh {
			return steps, nil
		}
	}
	return nil, errors.New("the machine is too busy to say what a call asks of the database")
}

// count describes the number of statements.
func count(steps []step) string {
	n := 0
	for _, s := range steps {
		if s.kind == exec || s.kind == query {
			n++
		}
	}
	if n == 1 {
		return "its statement"
	}
	return fmt.Sprintf("its %d statements", n)
}

// deploy measures POST /deployments on the simulator, with one tenant per connection.
func (b *bench) deploy(ctx context.Context, who []tenant) error {
	const mark = "bench_00000000000000000000000000" // as long as its replacement
	key, err := newPublicKey()
	if err != nil {
		return err
	}
	body := fmt.Sprintf(
		`{"provider":"voltage-park","offerId":"off_abc123","gpuType":"NVIDIA B200","gpuCount":8,`+
			`"region":"dallas-usa-5","operatingSystem":"Ubuntu 22.04","instanceType":"BARE_METAL",`+
			`"ssh_public_key":%q,"name":"my-training-run"}`,
		key,
	)
	for _, with := range []bool{false, true} {
		what, headers := "POST /deployments", []string(nil)
		if with {
			what, headers = what+", Idempotency-Key", []string{"Idempotency-Key: " + mark}
		}
		ours, recorded := &side{}, [][]step{}
		for _, t := range who {
			r := request("POST", httpapi.Base+"/deployments", t.secret, body, headers...)
			fresh := func() []byte { return bytes.Replace(r, []byte(mark), []byte(b.h.IDs.New("bench")), 1) }
			steps, err := b.recorded(ctx, request("GET", httpapi.Base+"/wallet", t.secret, ""), fresh, "201")
			if err != nil {
				return err
			}
			if n := transactions(steps); n != 1 {
				return fmt.Errorf("%s made %d transactions, not one, before the answer", what, n)
			}
			c, err := dial(b.address)
			if err != nil {
				return err
			}
			defer func() { _ = c.conn.Close() }()
			ours.workers = append(ours.workers, func(context.Context) error {
				_, err := c.call(fresh(), "201", false)
				return err
			})
			recorded = append(recorded, steps)
		}
		sides := b.statements(func(worker int) []step {
			return renewed(recorded[worker], func(k id.Kind) id.ID { return b.h.IDs.New(k) })
		})
		if err := compare(ctx, b.o.turns, b.o.turn, append([]*side{ours}, sides...)...); err != nil {
			return err
		}
		b.t.noteLost(what, b.s.engine, ours)
		b.addStatements(what, ours, sides, count(recorded[0]), 0.4)
	}
	return nil
}
