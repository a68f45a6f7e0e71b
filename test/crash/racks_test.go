package crash_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/test/servertest"
)

const (
	// ownServers is how many a history has, and tenants rent them.
	ownServers = 4
	// ownRandom is the number of kills at a random moment in a pass over the steps.
	ownRandom = 2
	// ownRest is the number of crashes between two checks. A server's history keeps all of them.
	ownRest = 48
	// ownPatience is how long all tenants may take to leave: a server may have to be installed
	// first.
	ownPatience = 3 * time.Minute
	// parametersAt is where the agent's image has the place of its parameters, parametersSize how
	// long that is.
	parametersAt, parametersSize = 40 << 10, 1600
)

// TestRacks kills the server while own servers are inspected, rented out, switched, reinstalled and
// erased. The servers are emulated by this process, and survive every kill. It is in real time.
func TestRacks(t *testing.T) {
	needsPort22(t)
	base := *seed
	if base == 0 {
		base = uint64(time.Now().UnixMicro())
	}
	t.Run("racks", func(t *testing.T) {
		t.Run("sqlite", func(t *testing.T) { t.Parallel(); crashRacks(t, base) })
		t.Run("postgres", func(t *testing.T) {
			t.Parallel()
			crashRacks(t, base, "--database-url", dbtest.PostgresURL(t)) // skips without a server
		})
	})
}

func crashRacks(t *testing.T, seed uint64, args ...string) {
	r := beginRacks(t, seed, args)
	steps := ownSteps()
	all, pass := *rounds, len(steps)+ownRandom
	if all == 0 {
		all = pass
	}
	defer func() {
		t.Logf("seed %d: %d crashes, at random moments %d; %d deployments; steps: %v", seed, r.rounds, r.hits[""],
			len(r.known), r.hits)
	}()
	var order []string
	for n := range all {
		if len(order) == 0 {
			order = r.order(steps)
		}
		r.round(order[0])
		if order = order[1:]; n%ownRest == ownRest-1 {
			r.check()
		}
	}
	for _, step := range steps {
		for try := 0; all >= pass && r.hits[step] == 0; try++ {
			if try == tries {
				t.Fatalf("in %d rounds the server was never killed at %s", r.rounds, step)
			}
			r.round(step)
		}
	}
	r.check()
}

// ownSteps are the steps of own servers in the order of a deployment's life.
func ownSteps() (steps []string) {
	var last []string // what follows an erasure
	for _, step := range crashpoint.All {
		switch {
		case strings.HasPrefix(step, "rack-validate"), strings.HasPrefix(step, "rack-rotate"):
			last = append(last, step)
		case strings.HasPrefix(step, "rack-"):
			steps = append(steps, step)
		}
	}
	return append(steps, last...)
}

// order returns the steps of a pass, and "" for each random moment. The short form keeps the order
// of a life, in which it takes the least time to reach each of them.
func (r *racks) order(steps []string) []string {
	out := slices.Clone(steps)
	if *rounds > 0 {
		r.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	for range ownRandom {
		out = slices.Insert(out, r.rng.IntN(len(out)), "")
	}
	return out
}

// racks is a server with own servers and their tenants.
type racks struct {
	t       *testing.T
	rng     *randv2.Rand
	server  *servertest.Server
	servers []*racktest.Server
	hosts   []string // their addresses, by server
	tenants []*racksTenant
	db      *db.DB
	rounds  int
	hits    map[string]int
	step    string // that the server is killed at
	resting bool

	mu     sync.Mutex
	known  map[string]bool // deployments that were answered
	erased map[string]bool // jobs of which the agent has erased the drives
}

func beginRacks(t *testing.T, seed uint64, args []string) *racks {
	t.Helper()
	r := &racks{
		t: t, rng: randv2.New(randv2.NewPCG(seed, 9)), hits: map[string]int{}, known: map[string]bool{},
		erased: map[string]bool{},
	}
	dir := directory(t)
	listen := fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t))
	r.servers = racktest.New(t, ownServers, agentCalls("https://"+listen))
	iso := filepath.Join(dir, "agent.iso")
	if err := os.WriteFile(iso, agentImage(), 0o600); err != nil {
		t.Fatal(err)
	}
	r.server = servertest.Prepare(t, dir, append(args, "--racks-listen", listen, "--racks-url", "https://"+listen,
		"--racks-agent-iso", iso)...)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		var lines []string
		for line := range strings.SplitSeq(r.server.Log(), "\n") {
			if !strings.Contains(line, "msg=request") {
				lines = append(lines, line)
			}
		}
		t.Logf("the end of the server's log:\n%s", tail(strings.Join(lines, "\n"), 30))
	})
	r.enter(dir)
	limits := []string{"--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit", "1000000"}
	for n := range ownServers {
		_, key := r.server.Key("100000", limits...)
		r.tenants = append(r.tenants, &racksTenant{
			r: r, name: fmt.Sprintf("t%d", n), key: key, lives: n,
		})
	}
	r.open()
	return r
}

// enter enters the servers and an image, and has the servers inspected.
func (r *racks) enter(dir string) {
	r.t.Helper()
	r.server.Run("machines", "images", "set", "Ubuntu 24.04", "--url", "https://images.example.com/x.raw",
		"--sha256", strings.Repeat("ab", 32), "--format", "raw", "--bytes", "1073741824")
	var b strings.Builder
	b.WriteString("machines:\n")
	net := fmt.Sprintf("127.78.%d", 1+randv2.IntN(250))
	for i, s := range r.servers {
		host := fmt.Sprintf("%s.%d", net, i+1)
		r.hosts = append(r.hosts, host)
		r.forward(host+":22", s)
		r.watch(s)
		s.BMC.SetQuirks(bmctest.Quirks{LockoutAfter: 2}) // by wrong passwords
		fmt.Fprintf(&b, "  - name: %s\n    bmcUrl: %s\n    bmcUser: %s\n    bmcPassword: %s\n"+
			"    bmcCertificateSha256: %q\n    macs: [%q]\n    address: %s/8\n    region: oslo-1\n"+
			"    hourlyPrice: 1.50\n    gpuType: NVIDIA H100\n    gpuCount: 8\n    gpuMemoryGb: 80\n",
			s.Name, s.Address.URL, s.Address.User, s.Address.Password, s.Address.CertificateSHA256, s.MAC, host)
	}
	file := filepath.Join(dir, "machines.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var all []struct{ ID string }
	if err := json.Unmarshal([]byte(r.server.Run("machines", "import", file, "-o", "json")), &all); err != nil {
		r.t.Fatal(err)
	}
	for _, m := range all {
		r.server.Run("machines", "inspect", m.ID)
	}
}

// forward has the SSH server of a system that runs on s answer at its address.
func (r *racks) forward(address string, s *racktest.Server) {
	r.t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = in.Close() }()
				out, err := net.Dial("tcp", net.JoinHostPort(s.Host, fmt.Sprint(s.Port())))
				if err != nil {
					return // nothing runs
				}
				defer func() { _ = out.Close() }()
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
}

// watch compares what the agent is to do with what is on the drives.
func (r *racks) watch(s *racktest.Server) {
	s.Script(func(job rackagent.Job, _ *rackagent.Report) bool {
		if job.Kind == rackagent.Rescue {
			return false // it goes on
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if job.Erase != nil {
			r.erased[job.ID] = true
		}
		before, _ := s.Installed()
		same := before != nil && job.Config != nil && instance(before) == instance(job.Config)
		if before != nil && !same {
			r.t.Errorf("%s still has the system of %s when the agent does %s", s.Name, instance(before), job.Kind)
		}
		return true
	})
}

// instance returns the deployment that a system was installed for.
func instance(c *rackagent.Config) string {
	var meta struct {
		ID string `json:"instance-id"`
	}
	if err := json.Unmarshal([]byte(c.MetaData), &meta); err != nil {
		return err.Error()
	}
	deployment, _, _ := strings.Cut(meta.ID, "-")
	return deployment
}

// open opens the server's database.
func (r *racks) open() {
	r.t.Helper()
	var err error
	if i := slices.Index(r.server.Args, "--database-url"); i >= 0 {
		r.db, err = postgres.Open(r.t.Context(), r.server.Args[i+1], clock.System{})
	} else {
		r.db, err = sqlite.Open(r.t.Context(), filepath.Join(r.server.Dir, "billet.db"), clock.System{})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = r.db.Close() })
}

// round starts the server and has it killed at the step, or at a random moment.
func (r *racks) round(step string) {
	r.t.Helper()
	var env []string
	killAfter := time.Duration(0)
	if r.step = step; step == "" {
		killAfter = time.Duration(50+r.rng.IntN(3000)) * time.Millisecond
	} else {
		times := 1
		if *rounds > 0 {
			times += r.rng.IntN(3)
		}
		env = []string{fmt.Sprintf("%s=%s:%d", crashpoint.Variable, step, times)}
	}
	r.rounds++
	began := time.Now()
	if r.server.TryRestart(killAfter, env...) {
		stop, late := make(chan struct{}), false
		var work sync.WaitGroup
		for _, w := range r.tenants {
			work.Go(func() { w.run(stop) })
		}
		timer := time.NewTimer(patience)
		select {
		case <-r.server.Ended():
		case <-timer.C:
			late = true
			r.server.Kill()
		}
		timer.Stop()
		close(stop)
		work.Wait()
		if late {
			r.t.Logf("%v was not reached in %s: %v", env, patience, r.states())
			r.hits[step]--
		}
	}
	if !r.server.Killed() {
		r.t.Fatalf("the server ended by itself:\n%s", r.server.Log())
	}
	r.hits[step]++
	if testing.Verbose() {
		r.t.Logf("%s %v after %s", step, env, time.Since(began).Round(time.Millisecond))
	}
	r.takeOver()
}

// takeOver ends the leases of the server that was killed. On PostgreSQL they would last half a
// minute, because the server could be one of several.
func (r *racks) takeOver() {
	r.t.Helper()
	err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE job SET lease_until = 0 WHERE lease_until > 0`)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// racksTenant rents own servers, one after the other.
type racksTenant struct {
	r         *racks
	name, key string
	lives     int
	body      map[string]any // of the request for a deployment that was not answered
	id        string         // of the deployment; "" while there is none
	used      bool           // something was written to its drives
	acted     bool           // as action said
}

func (w *racksTenant) run(stop <-chan struct{}) {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for !w.r.resting || !w.gone() {
		select {
		case <-stop:
			return
		case <-tick.C:
			w.work()
		}
	}
}

// gone reports whether the tenant has no deployment, and no request for one without an answer.
func (w *racksTenant) gone() bool { return w.id == "" && w.body == nil }

// work makes one request, which has no answer when the server is killed.
func (w *racksTenant) work() {
	if w.id == "" {
		w.create()
		return
	}
	a, err := w.r.server.TryCall(w.key, "GET", "/deployments/"+w.id, nil)
	if err != nil || a.Status != http.StatusOK {
		return
	}
	switch status := a.Data["status"]; {
	case status == "terminated" || status == "failed":
		w.id, w.used, w.acted = "", false, false
		w.lives++
	case a.Data["pendingAction"] != nil:
	case status == "stopped":
		w.act("power-on")
	case status == "running" && !w.used:
		w.use(a.Data["ipAddress"].(string))
		w.used = true
	case status == "running" && w.action(a.Data["rescue"] == true) != "":
		w.acted = w.act(w.action(a.Data["rescue"] == true))
	case status == "running":
		// An operator's, because a tenant must keep a machine for a while.
		_, _ = w.r.server.TryRun("deployments", "terminate", w.id, "--reason", "the tenant leaves")
	}
}

func (w *racksTenant) create() {
	if w.body == nil {
		if w.r.resting {
			return
		}
		a, err := w.r.server.TryCall(w.key, "GET", "/offers?provider=racks&available=true", nil)
		if err != nil || len(a.List) == 0 {
			return
		}
		w.body = map[string]any{
			"provider": "racks", "offerId": a.List[0].(map[string]any)["id"], "operatingSystem": "Ubuntu 24.04",
			"name": w.name, "ssh_public_key": publicKeyLine,
		}
	}
	again := fmt.Sprintf("%s-%d", w.name, w.lives)
	a, err := w.r.server.TryCall(w.key, "POST", "/deployments", w.body, "Idempotency-Key", again)
	switch {
	case err != nil || a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return
	case a.Status == http.StatusCreated:
		w.id = a.Data["id"].(string)
		w.r.mu.Lock()
		w.r.known[w.id] = true
		w.r.mu.Unlock()
	case a.Code() != "OFFER_UNAVAILABLE":
		w.r.t.Errorf("a deployment is answered with %d %s", a.Status, a.Body)
	default:
		w.lives++
	}
	w.body = nil
}

// use writes to the drives of the machine at the address.
func (w *racksTenant) use(address string) {
	s := w.r.servers[slices.Index(w.r.hosts, address)]
	s.WriteFile("/root/secret", w.id)
	if c, _ := s.Installed(); c == nil || instance(c) != w.id {
		w.r.t.Errorf("%s runs on %s, which has the system of another deployment: %+v", w.id, s.Name, c)
	}
}

// action returns what leads to the step, or in a long run something at random; "" to leave. rescue
// is whether the machine is in rescue.
func (w *racksTenant) action(rescue bool) string {
	switch {
	case w.r.resting:
		return ""
	case strings.HasPrefix(w.r.step, "rack-power"):
		return "reboot"
	case strings.HasPrefix(w.r.step, "rack-reinstall"):
		return "reinstall"
	case strings.HasPrefix(w.r.step, "rack-end-rescue") && rescue:
		return "end-rescue"
	case strings.HasPrefix(w.r.step, "rack-rescue"), strings.HasPrefix(w.r.step, "rack-end-rescue"):
		return "rescue"
	case *rounds == 0 || w.acted:
		return ""
	}
	return []string{"", "reboot", "reinstall", "power-off", "rescue"}[w.lives%5]
}

// act reports whether the action was accepted.
func (w *racksTenant) act(action string) bool {
	var body any
	if action == "reinstall" {
		body = map[string]any{"eraseLocalDisks": true}
	}
	a, err := w.r.server.TryCall(w.key, "POST", "/deployments/"+w.id+"/"+action, body)
	return err == nil && a.Status == http.StatusAccepted
}

// check starts the server without a crash, waits until every tenant has left and every server is
// ready, and compares what was kept.
func (r *racks) check() {
	r.t.Helper()
	r.resting, r.step = true, ""
	defer func() { r.resting = false }()
	defer r.explain()
	r.server.Restart()
	r.leave()
	r.server.Until("every server is ready", func() bool {
		return !slices.ContainsFunc(r.states(), func(s string) bool { return !strings.Contains(s, ": ready ") })
	})
	for _, s := range r.servers {
		if now := s.BMC.State(); now.On || now.CD != "" || s.Soiled() {
			r.t.Errorf("%s is ready; on: %t, CD: %q, has a tenant's data: %t", s.Name, now.On, now.CD, s.Soiled())
		}
	}
	r.server.Kill()
	r.takeOver()
	r.checkTenancies()
	r.checkBills()
}

// leave has every tenant leave.
func (r *racks) leave() {
	r.t.Helper()
	stop := make(chan struct{})
	timer := time.AfterFunc(ownPatience, func() { close(stop) })
	defer timer.Stop()
	var work sync.WaitGroup
	for _, w := range r.tenants {
		work.Go(func() { w.run(stop) })
	}
	work.Wait()
	for _, w := range r.tenants {
		if !w.gone() {
			r.t.Fatalf("%s did not leave in %s", w.name, ownPatience)
		}
	}
}

// explain logs what a failed test waits for.
func (r *racks) explain() {
	if !r.t.Failed() {
		return
	}
	r.t.Log(r.states())
	for _, w := range r.tenants {
		if w.id != "" {
			a, err := r.server.TryCall(w.key, "GET", "/deployments/"+w.id, nil)
			r.t.Logf("%s: %v %s", w.name, err, a.Body)
		}
	}
	r.each(`SELECT kind, subject, run_at, lease_until, attempt, failures, last_error FROM job ORDER BY run_at LIMIT 30`,
		func(scan func(...any) error) error {
			var kind, subject, last string
			var at, until, attempt, failures int64
			err := scan(&kind, &subject, &at, &until, &attempt, &failures, &last)
			r.t.Logf("%s %s is due in %s, leased for %s, attempt %d, failures %d: %s", kind, subject,
				time.Until(time.UnixMicro(at)), time.Until(time.UnixMicro(until)), attempt, failures, last)
			return err
		})
}

// states returns name, state, reason and detail of each server.
func (r *racks) states() (out []string) {
	r.each(`SELECT name, state, reason, detail FROM rack_machine ORDER BY name`, func(scan func(...any) error) error {
		var name, state, reason, detail string
		err := scan(&name, &state, &reason, &detail)
		out = append(out, fmt.Sprintf("%s: %s %q %q", name, state, reason, detail))
		return err
	})
	return out
}

// checkTenancies: a server that had a tenant was erased, and that was proven, before it was given
// to another one or became ready; and no deployment had two.
func (r *racks) checkTenancies() {
	r.t.Helper()
	proven := map[string][]int64{} // when they ended, by server and deployment
	r.each(`SELECT id, machine_id, deployment_id, ended_at, passed, reason FROM rack_erasure`,
		func(scan func(...any) error) error {
			var job, machine, deployment, reason string
			var ended, passed int64
			err := scan(&job, &machine, &deployment, &ended, &passed, &reason)
			if passed == 0 {
				r.t.Errorf("an erasure after %s did not pass: %s", deployment, reason)
			} else if !r.erased[job] {
				r.t.Errorf("the erasure after %s is recorded, and the agent did none", deployment)
			}
			proven[machine+deployment] = append(proven[machine+deployment], ended)
			return err
		})
	had, last := map[string]int{}, map[string]string{} // deployments; by server
	r.each(`SELECT machine_id, at, to_state, cause, reason FROM rack_transition ORDER BY machine_id, number`,
		func(scan func(...any) error) error {
			var machine, to, cause, reason string
			var at int64
			err := scan(&machine, &at, &to, &cause, &reason)
			before := last[machine]
			clean := before == "" ||
				slices.ContainsFunc(proven[machine+before], func(ended int64) bool { return ended <= at })
			if (to == string(rack.Assigned) || to == string(rack.Ready)) && !clean {
				r.t.Errorf("%s became %s without an erasure after %s", machine, to, before)
			}
			if cause == string(rack.CauseAssigned) {
				last[machine] = reason
				had[reason]++
			}
			return err
		})
	for deployment, n := range had {
		if n > 1 {
			r.t.Errorf("%s had %d servers", deployment, n)
		}
	}
	r.each(`SELECT subject, COUNT(*) FROM wallet_charge GROUP BY subject`, func(scan func(...any) error) error {
		var subject string
		var n int
		err := scan(&subject, &n)
		if had[subject] == 0 || n != 1 {
			r.t.Errorf("%s had %d servers, and was charged for %d hours", subject, had[subject], n)
		}
		delete(had, subject)
		return err
	})
	for deployment := range had {
		r.t.Errorf("%s had a server, and was never charged", deployment)
	}
}

// checkBills: every deployment is known to its tenant, has ended, and has no open money.
func (r *racks) checkBills() {
	r.t.Helper()
	r.each(`SELECT id, status FROM deployment`, func(scan func(...any) error) error {
		var of, status string
		err := scan(&of, &status)
		if !r.known[of] || status != "terminated" && status != "failed" {
			r.t.Errorf("%s is %s; its tenant knows it: %t", of, status, r.known[of])
		}
		return err
	})
	for what, query := range map[string]string{
		"has money on hold": `SELECT subject FROM wallet_hold WHERE settled_at IS NULL`,
		"is still billed":   `SELECT subject FROM meter WHERE stopped_at IS NULL`,
		"fails again and again": `SELECT kind || ' ' || subject || ': ' || last_error FROM job
			WHERE failures > 2`,
	} {
		r.each(query, func(scan func(...any) error) error {
			var subject string
			err := scan(&subject)
			r.t.Errorf("%s %s", subject, what)
			return err
		})
	}
	ledger := wallet.New(wallet.Config{DB: r.db, IDs: id.NewMaker(clock.System{}, rand.Reader)})
	if wrong, err := ledger.Audit(context.Background()); err != nil || len(wrong) > 0 {
		r.t.Errorf("the ledger: %v, %v", wrong, err)
	}
}

func (r *racks) each(query string, row func(scan func(...any) error) error) {
	r.t.Helper()
	rows, err := r.db.Query(context.Background(), query)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
}

// agentImage is an image of the agent with nothing but the place of its parameters.
func agentImage() []byte {
	const marker = "@BILLET-PARAMETERS@"
	b := make([]byte, parametersAt+2*parametersSize)
	copy(b[16*2048:], "\x01CD001\x01")
	copy(b[16*2048+40:], rackagent.VolumeID+strings.Repeat(" ", 32-len(rackagent.VolumeID)))
	copy(b[parametersAt:], marker+strings.Repeat(".", parametersSize-len(marker)))
	return b
}

// agentCalls are the calls of agents and BMCs at the address of the provisioning network. As real
// ones do, they repeat what was not answered.
func agentCalls(url string) racktest.Calls {
	ask := func(ctx context.Context, pin, method, path, token string, body []byte) ([]byte, error) {
		client := rackagent.PinnedClient(pin)
		if pin == "" { // a BMC, which checks nothing
			client.Transport.(*http.Transport).TLSClientConfig.VerifyConnection = nil
		}
		client.Transport.(*http.Transport).DisableKeepAlives = true
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			text, again, err := askOnce(ctx, client, method, url+path, token, body)
			if !again {
				return text, err
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-tick.C:
			}
		}
	}
	return racktest.Calls{
		Image: func(ctx context.Context, token string) (rackagent.Parameters, error) {
			image, err := ask(ctx, "", "GET", rack.ISOPath+token+".iso", "", nil)
			if err != nil {
				return rackagent.Parameters{}, err
			}
			return rackagent.ParseCommandLine(string(image[parametersAt : parametersAt+parametersSize]))
		},
		Job: func(ctx context.Context, p rackagent.Parameters) (j rackagent.Job, err error) {
			text, err := ask(ctx, p.Pin, "GET", rackagent.JobPath, p.Token, nil)
			if err == nil {
				err = json.Unmarshal(text, &j)
			}
			return j, err
		},
		Report: func(ctx context.Context, p rackagent.Parameters, report rackagent.Report) error {
			text, err := json.Marshal(report)
			if err == nil {
				_, err = ask(ctx, p.Pin, "POST", rackagent.ReportsPath, p.Token, text)
			}
			return err
		},
	}
}

// askOnce also reports whether there was no answer that decides anything.
func askOnce(
	ctx context.Context, c *http.Client, method, url, token string, body []byte,
) (text []byte, again bool, err error) {
	q, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := c.Do(q)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = a.Body.Close() }()
	if text, err = io.ReadAll(a.Body); err != nil || a.StatusCode >= 500 {
		return nil, true, errors.Join(err, errors.New(a.Status))
	}
	if a.StatusCode/100 != 2 {
		return nil, false, fmt.Errorf("%s %s: %s", method, url, a.Status)
	}
	return text, false, nil
}
