package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/httpapi"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// askedTimes is how often each call is made; the median counts.
const askedTimes = 15

// grown measures the cost of calls as the data of others, and of one large account, grow.
func grown(ctx context.Context, s *site, o options, t *table) (err error) {
	m, err := openMarket(ctx, filepath.Join(s.dir, string(s.engine)+"-growth"), 10)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.world.Close()) }()
	var names []string
	took := map[string][]time.Duration{}
	for i, n := range o.growth {
		one, order, err := grownTo(ctx, s, m, fmt.Sprintf("growth%d", i), n)
		if err != nil {
			return fmt.Errorf("with %d: %w", n, err)
		}
		names = order
		for name, d := range one {
			took[name] = append(took[name], d)
		}
	}
	t.note(
		"%s: median of %d calls over loopback, one after the other, with %s deployments of others and lines, events "+
			"and charges of the large account:",
		s.engine,
		askedTimes,
		strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.growth)), ", "), "[]"),
	)
	for _, name := range names {
		var cells []string
		for _, d := range took[name] {
			cells = append(cells, milli(d))
		}
		last := took[name][len(took[name])-1]
		t.note("  %-62s %s  (x %.1f)", name, strings.Join(cells, "  "), float64(last)/float64(max(took[name][0], 1)))
	}
	return nil
}

// grownTo fills a database to that size and returns the duration of each call.
func grownTo(
	ctx context.Context,
	s *site,
	m *market,
	name string,
	n int,
) (took map[string]time.Duration, order []string, err error) {
	if err := s.make(ctx, name, m.clock); err != nil {
		return nil, nil, err
	}
	var small, large tenant
	d, err := s.open(ctx, name, m.clock)
	if err != nil {
		return nil, nil, err
	}
	h, err := build(ctx, m, d, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	small, err = h.tenant(ctx, "small", money.Dollars(100))
	if err == nil {
		large, err = h.tenant(ctx, "large", 0)
	}
	if err = errors.Join(err, h.Close()); err != nil {
		return nil, nil, err
	}
	pool, err := s.loose(name)
	if err != nil {
		return nil, nil, err
	}
	now := m.clock.Now()
	if err := errors.Join(
		fillGrowth(ctx, s.engine, pool, small.account, large.account, n, now), pool.Close(),
	); err != nil {
		return nil, nil, err
	}
	if d, err = s.open(ctx, name, m.clock); err != nil {
		return nil, nil, err
	}
	if h, err = build(ctx, m, d, slog.New(slog.DiscardHandler)); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	address, stop, err := serve(h.Handler())
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c, err := dial(address)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = c.conn.Close() }()
	took = map[string]time.Duration{}
	ask := func(name string, f func() error) {
		if err != nil {
			return
		}
		order = append(order, name)
		all := make([]time.Duration, askedTimes)
		for i := range all {
			start := time.Now()
			if err = f(); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				return
			}
			all[i] = time.Since(start)
		}
		slices.Sort(all)
		took[name] = all[len(all)/2]
	}
	get := func(name string, who tenant, target string) {
		r := request("GET", httpapi.Base+target, who.secret, "")
		ask(name, func() error { _, err := c.call(r, "200", false); return err })
	}
	get("small: GET /wallet", small, "/wallet")
	get("small: GET /deployments?tag=team-3", small, "/deployments?tag=team-3")
	get("small: GET /deployments?search=needle", small, "/deployments?search=needle")
	get("large: GET /deployments", large, "/deployments")
	get("large: GET /deployments?status=running", large, "/deployments?status=running")
	get("large: GET /deployments?tag=team-3", large, "/deployments?tag=team-3")
	get("large: GET /deployments?search=needle (in none)", large, "/deployments?search=needle")
	get("large: GET /deployments?sort=name", large, "/deployments?sort=name")
	get("large: GET /wallet/transactions?type=charge", large, "/wallet/transactions?type=charge")
	late := max(1, min(1900, n/10-1)) // near the end of what page numbers reach
	get(
		"large: the same, a late page by its number", large,
		fmt.Sprintf("/wallet/transactions?type=charge&limit=5&page=%d", late),
	)
	if err == nil {
		var next string
		if next, err = nextOf(
			c, large, fmt.Sprintf("/wallet/transactions?type=charge&limit=5&page=%d", late),
		); err == nil {
			get(
				"large: the same, by the cursor of the page before", large,
				"/wallet/transactions?type=charge&limit=5&cursor="+url.QueryEscape(next),
			)
		}
	}
	get("large: GET /wallet/transactions, its last page", large, fmt.Sprintf("/wallet/transactions?page=%d", n/20))
	get(
		"large: GET /events?type=deployment.running,deployment.failed", large,
		"/events?type=deployment.running,deployment.failed",
	)
	get("large: GET /events, its last page", large, fmt.Sprintf("/events?page=%d", n/20))
	year := url.QueryEscape(now.AddDate(-1, 0, 1).UTC().Format(time.RFC3339))
	get("large: GET /wallet/usage?groupBy=day over a year", large, "/wallet/usage?groupBy=day&from="+year)
	ask("operator: margins by day over 90 days", func() error {
		_, err := h.Meter().Margins(ctx, h.d, now.AddDate(0, 0, -90), now, now, wallet.ByDay)
		return err
	})
	ask("operator: a scrape of /metrics", func() error { _, err := h.Metrics().Gather(); return err })
	return took, order, err
}

// nextOf returns the cursor behind a page, or an error if there is none.
func nextOf(c *caller, who tenant, target string) (string, error) {
	body, err := c.call(request("GET", httpapi.Base+target, who.secret, ""), "200", true)
	if err != nil {
		return "", err
	}
	var page struct {
		Pagination struct {
			NextCursor string `json:"nextCursor"`
		} `json:"pagination"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return "", err
	}
	if page.Pagination.NextCursor == "" {
		return "", fmt.Errorf("%s is the last page", target)
	}
	return page.Pagination.NextCursor, nil
}

// fillGrowth creates n deployments of up to 10,000 accounts, ten of the small account, a tenth of
// n of the large one, and n transactions, events and charged hours, within a year, of the large
// one.
func fillGrowth(ctx context.Context, engine db.Engine, pool *sql.DB, small, large id.ID, n int, now time.Time) error {
	us := now.Truncate(time.Hour).UnixMicro()
	others := min(n, 10_000)
	wide := func(number string) string { return digits(engine, number, 20) }
	deployments := func(account, kind string) map[string]string {
		return map[string]string{
			"id": `'dep_` + kind + `' || ` + wide("i"), "account_id": account,
			"name": `'training-run-' || CAST(i AS TEXT)`, "name_key": `'training-run-' || CAST(i AS TEXT)`,
			"status":   `CASE WHEN i % 10 = 0 THEN 'running' ELSE 'terminated' END`,
			"provider": `'warehouse'`, "region": `'dallas-usa-5'`,
			"capabilities": `'{}'`, "authorized_keys": `'[]'`, "steps": `'[]'`, "ssh_host_keys": `'[]'`,
			"plans": `'[]'`, "attempts": `'[]'`, "created_at": fmt.Sprint(us), "started_at": fmt.Sprint(us),
			"released_at": `CASE WHEN i % 10 = 0 THEN NULL ELSE ` + fmt.Sprint(us) + ` END`,
		}
	}
	tags := func(account, kind string) map[string]string {
		return map[string]string{
			"deployment_id": `'dep_` + kind + `' || ` + wide("i"), "account_id": account,
			"tag": `'team-' || CAST(i % 7 AS TEXT)`,
		}
	}
	text := func(s id.ID) string { return `'` + string(s) + `'` }
	other := `'acc_o' || ` + wide(fmt.Sprintf("(i %% %d)", others))
	year := 8760 * time.Hour
	at := fmt.Sprintf("(%d - (%d - i) * CAST(%d AS BIGINT))", us, n, year.Microseconds()/int64(n))
	type filling struct {
		table string
		rows  int
		with  map[string]string
	}
	for _, f := range []filling{
		{"account", others, map[string]string{
			"id": `'acc_o' || ` + wide("(i - 1)"), "name": `'other'`, "markup": `NULL`,
		}},
		{"wallet", others, map[string]string{"account_id": `'acc_o' || ` + wide("(i - 1)"), "negative_since": `NULL`}},
		{"deployment", n, deployments(other, "o")}, {"deployment_tag", n, tags(other, "o")},
		{"deployment", max(10, n/10), deployments(text(large), "l")},
		{"deployment_tag", max(10, n/10), tags(text(large), "l")},
		{"deployment", 10, deployments(text(small), "s")}, {"deployment_tag", 10, tags(text(small), "s")},
		{"wallet_transaction", n, map[string]string{
			"id": `'txn_l' || ` + wide("i"), "account_id": text(large), "seq": `i`,
			"type": `CASE WHEN i % 2 = 0 THEN 'charge' ELSE 'hold' END`, "amount": `-1000000`,
			"subject": `'dep_l' || ` + wide("(i % 1000 + 1)"), "created_at": at, "description": `'an hour'`,
		}},
		{"wallet_charge", n, map[string]string{
			"subject": `'dep_l' || ` + wide("(i % 1000 + 1)"), "hour": `i`, "account_id": text(large),
			"amount": `1000000`, "hourly_price": `1000000`,
			"from_at": at, "refunded_at": `NULL`, "provider": `'warehouse'`, "gpu_type": `'NVIDIA B200'`,
		}},
		{"meter_cost", n, map[string]string{
			"subject": `'dep_o' || ` + wide("i"), "from_at": at, "to_at": at + ` + CAST(36000000000 AS BIGINT)`,
			"account_id": other, "provider": `'warehouse'`, "hourly_cost": `900000`,
		}},
		{"event", n, map[string]string{
			"id": `'evt_l' || ` + wide("i"), "account_id": text(large),
			"subject": `'dep_l' || ` + wide("(i % 1000 + 1)"), "seq": `i`, "data": `'{}'`,
			"type": `CASE i % 5 WHEN 0 THEN 'deployment.running' WHEN 1 THEN 'deployment.failed'
				ELSE 'deployment.created' END`,
			"created_at": at,
		}},
		{"event_counter", 1, map[string]string{"account_id": text(large), "last": fmt.Sprint(n)}},
	} {
		if err := fillTable(ctx, engine, pool, f.table, f.rows, f.with); err != nil {
			return fmt.Errorf("fill %s: %w", f.table, err)
		}
	}
	if _, err := pool.ExecContext(
		ctx, `UPDATE wallet SET seq = $1 WHERE account_id = $2`, n, string(large),
	); err != nil {
		return err
	}
	vacuum := `ANALYZE`
	if engine == db.Postgres {
		vacuum = `VACUUM ANALYZE` // what autovacuum would do later
	}
	_, err := pool.ExecContext(ctx, vacuum)
	return err
}

// fillTable creates rows. A column that is not named has its default, or is empty or 0.
func fillTable(ctx context.Context, engine db.Engine, pool *sql.DB, table string, n int, with map[string]string) error {
	columns := `SELECT name, type FROM pragma_table_info($1) WHERE "notnull" = 1 AND dflt_value IS NULL`
	if engine == db.Postgres {
		columns = `SELECT column_name, data_type FROM information_schema.columns
			WHERE table_name = $1 AND is_nullable = 'NO' AND column_default IS NULL`
	}
	rows, err := pool.QueryContext(ctx, columns, table)
	if err != nil {
		return err
	}
	var names, values []string
	for name, value := range with {
		names, values = append(names, name), append(values, value)
	}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return errors.Join(err, rows.Close())
		}
		if _, given := with[name]; given {
			continue
		}
		value := `0`
		if strings.EqualFold(kind, "TEXT") {
			value = `''`
		}
		names, values = append(names, name), append(values, value)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	return withoutIndexes(ctx, engine, pool, table, func() error {
		insert := ` INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) SELECT ` +
			strings.Join(values, ", ") + ` FROM n`
		_, err := pool.ExecContext(ctx, series(engine)+insert, n)
		return err
	})
}
