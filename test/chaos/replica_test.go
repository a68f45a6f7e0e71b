package chaos_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

const reportsByReplica, reportsByPrimary = `billet_database_replica_reads_total{by="replica"}`,
	`billet_database_replica_reads_total{by="primary"}`

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZwpBijBd19lrp1GO7KtPM2MVlY6axv+5hGmH8ABvX8"

var metricsAt = regexp.MustCompile(`metrics=(http://127\.0\.0\.1:\d+/metrics)`)

// TestReportsComeFromTheStandby serves reports from a standby that is cut off, silent, ended and
// promoted. The server has a role without special rights.
func TestReportsComeFromTheStandby(t *testing.T) {
	p := newPair(t, false)
	p.exec("CREATE ROLE billet LOGIN")
	p.exec("CREATE DATABASE billet OWNER billet")
	of := func(address string) string { return "postgres://billet@" + address + "/billet?sslmode=disable" }
	reached := newLink(t, p.standby.address())
	s := servertest.Start(t, "--sim", "--database-url", of(p.primary.address()), "--database-replica-url",
		of(reached.address()))
	_, key := s.Key("1000", "--read-limit", "1000000")
	w := &reports{t: t, s: s, key: key}

	w.serves(reportsByReplica)
	if lag := w.metric("billet_database_replica_lag_seconds"); lag > 5 {
		t.Errorf("the lag is %g s although the standby serves", lag)
	}

	t.Log("the standby is cut off from the primary, and does not know it")
	p.line.stall(true)
	until(t, "the standby is too old", patience, func() bool {
		return w.metric("billet_database_replica_lag_seconds") > 5
	})
	w.serves(reportsByPrimary)
	s.Deploy(key, "beside-a-stale-standby", publicKey)
	if !w.lists("beside-a-stale-standby") {
		t.Error("the statement lacks what was just deployed")
	}
	p.line.stall(false)
	w.serves(reportsByReplica)
	until(t, "the standby has the deployment", patience, func() bool { return w.lists("beside-a-stale-standby") })

	t.Log("the standby does not answer, and its connections stay open")
	reached.stall(true)
	w.serves(reportsByPrimary)
	reached.stall(false)
	w.serves(reportsByReplica)

	t.Log("the standby ends, and the server starts without it")
	p.standby.end(syscall.SIGQUIT)
	w.serves(reportsByPrimary)
	s.Kill()
	s.Restart()
	w.serves(reportsByPrimary)
	if a := s.Call("", "GET", "=/readyz", nil); a.Status != 200 {
		t.Errorf("a server whose standby is down is not ready: %d %s", a.Status, a.Body)
	}
	p.standby.start()
	w.serves(reportsByReplica)

	t.Log("the standby is promoted, and is a database of its own")
	p.standby.run("pg_ctl", "-D", p.standby.dir, "-w", "promote")
	w.serves(reportsByPrimary)
	if a := s.Call("", "GET", "=/readyz", nil); a.Status != 200 {
		t.Errorf("a server without a standby is not ready: %d %s", a.Status, a.Body)
	}
	if !strings.Contains(s.Log(), "the replica is no standby") {
		t.Errorf("the log does not say why:\n%s", s.Log())
	}
}

// reports reads what a replica may serve.
type reports struct {
	t   *testing.T
	s   *servertest.Server
	key string
}

// serves reads reports until one of them comes from there. All succeed.
func (r *reports) serves(by string) {
	r.t.Helper()
	before := r.metric(by)
	until(r.t, by+" grows", patience, func() bool {
		for _, path := range []string{"/wallet/usage", "/wallet/transactions", "/wallet/usage?format=focus"} {
			if a := r.s.Call(r.key, "GET", path, nil); a.Status != 200 {
				r.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
			}
		}
		return r.metric(by) > before
	})
}

// lists reports whether the statement has the deployment.
func (r *reports) lists(name string) bool {
	r.t.Helper()
	a := r.s.Call(r.key, "GET", "/wallet/transactions", nil)
	return a.Status == 200 && strings.Contains(string(a.Body), name)
}

// metric returns the value of a series.
func (r *reports) metric(series string) float64 {
	r.t.Helper()
	r.s.AwaitLog("metrics=http")
	at := metricsAt.FindStringSubmatch(r.s.Log())
	response, err := http.Get(at[1])
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(io.LimitReader(response.Body, 1<<22)); lines.Scan(); {
		if value, is := strings.CutPrefix(lines.Text(), series+" "); is {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return n
		}
	}
	r.t.Fatalf("no metric %s", series)
	return 0
}

// exec runs a statement at the primary.
func (p *pair) exec(statement string) {
	p.t.Helper()
	d := p.primary.open()
	defer func() { _ = d.Close() }()
	if _, err := d.ExecContext(p.t.Context(), statement); err != nil {
		p.t.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
