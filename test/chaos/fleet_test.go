package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/servertest"
)

const (
	// promised is how soon requests succeed again after the end of a fault. A long run holds the
	// servers to it.
	promised = time.Minute
	// lag is how long the cloud hides a new machine.
	lag = 20 * time.Second
	// fast is how much faster than real time the cloud's machines start and end.
	fast = 8
	// answerTime is how long a tenant waits for an answer.
	answerTime = 30 * time.Second
	// unsent is a header of the balancer's answer if no server has got the request.
	unsent = "Chaos-Unsent"
)

// recovery is the limit of a wait for requests that succeed. The short form may run beside other
// tests, where everything takes longer; how long it took is in its log.
func recovery() time.Duration {
	if *rounds > 0 {
		return promised
	}
	return patience
}

// fleet is three servers with everything around them.
type fleet struct {
	tally
	t        *testing.T
	rng      *rand.Rand
	cloud    *voltageparktest.Cloud
	pair     *pair
	redis    *redis
	servers  []*replica
	balancer *servertest.Server // never started; its URL is the balancer's
	record   *record
	tenants  []*tenant
	operator string
	offers   []offer
	began    time.Time
	ahead    atomic.Int64 // how far the clocks of the servers and the cloud were moved
	unwatch  func()       // ends the streams
}

// replica is one of the servers.
type replica struct {
	*servertest.Server
	number      int
	skew        string
	dbs         []*link // to the two PostgreSQL
	cache       *link   // to Redis
	reached     atomic.Pointer[url.URL]
	faultyLines []string
}

// redis is a Redis that the test may end.
type redis struct {
	*process
	t    *testing.T
	port int
}

func (r *redis) start() {
	r.t.Helper()
	r.process = launch(r.t, exec.Command("redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(r.port),
		"--save", "", "--appendonly", "no"), syscall.SIGKILL)
	until(r.t, "Redis answers", patience, func() bool {
		c, err := net.Dial("tcp", r.address())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (r *redis) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// do sends a command in Redis's inline form.
func (r *redis) do(command string) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b := make([]byte, 64)
	if _, err = fmt.Fprintf(c, "%s\r\n", command); err == nil {
		_, err = c.Read(b)
	}
	if err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
}

// offer is the test's knowledge of an offer.
type offer struct {
	ID, Region, InstanceType string
	OperatingSystems         []string
	Capabilities             struct{ Volumes bool }
}

func newFleet(t *testing.T, seed uint64, synchronous bool) *fleet {
	t.Helper()
	f := &fleet{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), pair: newPair(t, synchronous), cloud: voltageparktest.Serve(t),
		began: time.Now(), record: &record{began: time.Now()},
	}
	f.Faults, f.Answers, f.Slowest = map[string]int{}, map[string]int{}, map[string]time.Duration{}
	f.redis = &redis{t: t, port: servertest.FreePort(t)}
	f.redis.start()
	t.Cleanup(func() { f.redis.end(syscall.SIGKILL) })
	f.cloud.Lag(lag)
	f.cloud.Restock(10_000)
	f.cloud.Follow(func() (time.Time, bool) {
		return f.began.Add(fast*time.Since(f.began) + time.Duration(f.ahead.Load())), true
	})
	for i := range 3 {
		f.prepare(i)
	}
	f.balance()
	for _, r := range f.servers {
		f.start(r)
	}
	f.cast(seed)
	return f
}

// prepare makes a server with its proxies.
func (f *fleet) prepare(i int) {
	f.t.Helper()
	dir := memory(f.t)
	r := &replica{number: i, cache: newLink(f.t, f.redis.address())}
	if i == 2 {
		r.skew = []string{"130s", "-130s", "1h"}[f.rng.IntN(3)]
	}
	var hosts []string
	for _, n := range []*node{f.pair.primary, f.pair.standby} {
		k := newLink(f.t, n.address())
		r.dbs, hosts = append(r.dbs, k), append(hosts, k.address())
	}
	account := f.cloud.Account()
	files := map[string]string{
		"cloud.key": account.Credential,
		"providers.yaml": fmt.Sprintf("providers:\n  - kind: %s\n    baseUrl: %s\n    apiKeyFile: cloud.key\n"+
			"    settings:\n      private-addresses: \"true\"\n      requests-per-minute: \"60000\"\n      "+
			"region-names: %q\n", account.Slug, account.BaseURL, account.Settings["region-names"]),
	}
	if i > 0 { // they share the key of encrypted values
		b, err := os.ReadFile(filepath.Join(f.servers[0].Dir, "secret.key"))
		if err != nil {
			f.t.Fatal(err)
		}
		files["secret.key"] = string(b)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	r.Server = servertest.Prepare(f.t, dir, "--providers-file", filepath.Join(dir, "providers.yaml"),
		"--database-url", fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable&target_session_attrs=read-write",
			strings.Join(hosts, ",")),
		"--redis-url", "redis://"+r.cache.address(), "--max-clock-skew", "2h",
		"--webhook-allow-http", "--webhook-allow-networks", "127.0.0.0/8")
	r.Attributes = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	f.servers = append(f.servers, r)
	if i == 0 {
		r.Run("migrate")
		r.Run("account", "create", "--name", "operator") // makes the key
	}
}

// memory returns a directory in memory if the system has such.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "billet-chaos-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start starts a server with the clock of the others.
func (f *fleet) start(r *replica) {
	f.t.Helper()
	state, err := json.Marshal(map[string]int64{"offsetNanoseconds": f.ahead.Load()})
	if err == nil {
		err = os.WriteFile(filepath.Join(r.Dir, "sim-clock.json"), state, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	var env []string
	if r.skew != "" {
		env = append(env, crashpoint.SkewVariable+"="+r.skew)
	}
	if !r.TryRestart(0, env...) {
		f.t.Fatalf("server %d ended:\n%s", r.number, tail(r.Log(), 20))
	}
	to, err := url.Parse(r.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	r.reached.Store(to)
}

// bad are lines of a log that no fault explains. A request that its client gave up is no such line.
var bad = regexp.MustCompile(`(?m)^.*(panic|DATA RACE|status=500 ).*$`)

// down ends a server and keeps what its log says.
func (f *fleet) down(r *replica, end func()) {
	r.reached.Store(nil)
	end()
	r.faultyLines = append(r.faultyLines, bad.FindAllString(r.Log(), 5)...)
}

// balance starts the balancer: each request goes to the next server.
func (f *fleet) balance() {
	var next atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			for range f.servers {
				if to := f.servers[next.Add(1)%int64(len(f.servers))].reached.Load(); to != nil {
					r.SetURL(to)
					return
				}
			}
			r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
		},
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if dial, is := errors.AsType[*net.OpError](err); is && dial.Op == "dial" {
				w.Header().Set(unsent, "1")
			}
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog:  log.New(io.Discard, "", 0), // streams that a fault ends
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	s := httptest.NewServer(proxy)
	f.t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	f.balancer = servertest.Prepare(f.t, f.servers[0].Dir)
	f.balancer.URL = s.URL
	f.balancer.Use(&http.Client{Timeout: answerTime, Transport: &http.Transport{MaxIdleConnsPerHost: 64}})
}

// cast makes the tenants and the operator.
func (f *fleet) cast(seed uint64) {
	f.t.Helper()
	s := f.servers[0]
	limits := []string{"--read-limit", "1000000", "--write-limit", "1000000", "--deploy-limit", "1000000"}
	var staff string
	staff, _ = s.Key("0")
	f.operator = s.KeyOf(staff, append(limits, "--scopes", "operator:read,operator:write")...)
	for i := range 4 {
		tn := &tenant{
			number: i, deps: map[string]string{}, ended: map[string]bool{}, sshKeys: map[string]string{},
			credits: map[string]bool{},
		}
		tn.account, tn.key = s.Key("1000000", limits...)
		f.tenants = append(f.tenants, tn)
		f.subscribe(tn)
	}
	metal := canUsePort22(f.t)
	first := f.tenants[0].key
	until(f.t, "offers", patience, func() bool {
		a, err := s.TryCall(first, "GET", "/offers?limit=100&available=true", nil)
		if err != nil || a.Status != http.StatusOK || data(a, &f.offers) != nil {
			return false
		}
		var some []offer
		for _, o := range f.offers {
			if o.Region == "dallas-usa-5" && (o.InstanceType == "VM" || metal && o.Capabilities.Volumes) {
				some = append(some, o)
			}
		}
		f.offers = some
		return len(some) > 0
	})
	for i, tn := range f.tenants {
		for n := range 2 {
			a := s.Call(tn.key, "POST", "/volumes", map[string]any{
				"name": fmt.Sprintf("v%d", n), "sizeGb": 10 + n, "provider": "voltage-park", "region": "dallas-usa-5",
			})
			if a.Status != http.StatusCreated {
				f.t.Fatalf("volume: %d %s", a.Status, a.Body)
			}
			tn.volumes = append(tn.volumes, a.Data["id"].(string))
		}
		tn.seed = [2]uint64{seed, uint64(i) + 100}
	}
}

// canUsePort22 reports whether this process can: bare metal of this cloud, which volumes need, has
// no other port.
func canUsePort22(t *testing.T) bool {
	t.Helper()
	s, err := upstreamtest.ListenSSH("root", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	return s.Port == 22
}

// data decodes the data of an answer.
func data(a servertest.Answer, into any) error {
	e := struct{ Data any }{into}
	return json.Unmarshal(a.Body, &e)
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// work has the tenants work until the context ends.
func (f *fleet) work(ctx context.Context, group *sync.WaitGroup) {
	for _, tn := range f.tenants {
		for n := range 2 {
			w := &worker{f: f, tn: tn, who: fmt.Sprintf("t%d-w%d", tn.number, n)}
			w.rng = rand.New(rand.NewPCG(tn.seed[0], tn.seed[1]<<8|uint64(n)))
			group.Go(func() { w.run(ctx) })
		}
	}
	group.Go(func() { f.credit(ctx) })
}
