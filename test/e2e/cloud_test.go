package e2e_test

import (
	"io/fs"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
	"github.com/billetcloud/billet/internal/provider/voltagepark/voltageparktest"
	"github.com/billetcloud/billet/test/servertest"
)

// The quick start with a real cloud in place of the simulator: only the configuration differs.
// Server and cloud use real time; only the booting of machines is sped up.
func TestQuickStartWithRealCloud(t *testing.T) {
	t.Run("by a command", func(t *testing.T) {
		t.Parallel() // mostly waiting
		servertest.Engines(t, func(t *testing.T, args ...string) {
			t.Parallel()
			cloud := voltageparktest.Serve(t)
			b := quickStart(t, cloud, byCommand(t, cloud, args...))
			b.useSimulatedClock(t)
		})
	})
	t.Run("by a file", func(t *testing.T) {
		t.Parallel()
		servertest.Engines(t, func(t *testing.T, args ...string) {
			t.Parallel()
			cloud := voltageparktest.Serve(t)
			b := quickStart(t, cloud, byFile(t, cloud, args...))
			b.server.Args = args // without the file
			b.server.Restart()
			if log := b.server.Log(); !strings.Contains(log, "provider=voltage-park deployments=1 volumes=0") ||
				!strings.Contains(log, "no provider is connected, so there are no offers") {
				t.Errorf("a server without the provider that has a machine of ours says\n%s", log)
			}
		})
	})
}

// bought is the result of the quick start: a running deployment with a scheduled termination. The
// server has stopped.
type bought struct {
	cloud      *voltageparktest.Cloud
	server     *servertest.Server
	key        string
	deployment map[string]any
}

const names = voltageparktest.Seattle + "=dallas-usa-5"

func byCommand(t *testing.T, cloud *voltageparktest.Cloud, args ...string) *servertest.Server {
	s := servertest.Prepare(t, t.TempDir(), args...)
	s.RunWith(
		voltageparktest.Token+"\n", "provider", "add", "voltage-park", "--api-key-stdin", "--base-url",
		cloud.Account().BaseURL, "--setting", "region-names="+names, "--setting", "private-addresses=true",
		"--markup", "10",
	)
	return s
}

func byFile(t *testing.T, cloud *voltageparktest.Cloud, args ...string) *servertest.Server {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"voltage-park.key": voltageparktest.Token + "\n",
		"providers.yaml": `providers:
  - kind: voltage-park
    apiKeyFile: voltage-park.key
    baseUrl: ` + cloud.Account().BaseURL + `
    markupPercent: "10"
    settings: {region-names: "` + names + `", private-addresses: "true"}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return servertest.Prepare(t, t.TempDir(), append(args, "--providers-file", filepath.Join(dir, "providers.yaml"))...)
}

// awaitB200 waits until the cloud's B200 of an instance type can be ordered, and returns its offer.
func awaitB200(t *testing.T, s *servertest.Server, key, kind string) (offer map[string]any) {
	t.Helper()
	await(t, "the cloud's B200", func() bool {
		for _, o := range s.Call(key, http.MethodGet, "/offers?search=b200", nil).List {
			o := o.(map[string]any)
			if o["gpuType"] != "NVIDIA B200" || o["provider"] != "voltage-park" {
				t.Fatalf("a search for b200 finds %v", o)
			}
			if o["instanceType"] == kind && o["region"] == "dallas-usa-5" && o["available"] == true &&
				(kind == "VM" || o["gpuCount"] == 8.0 && o["interconnect"] == "Ethernet") {
				offer = o
			}
		}
		return offer != nil
	})
	return offer
}

// checkFirstHour checks the specification's billing: the first hour is charged when the machine
// runs, and the minimum runtime is 25 minutes. It schedules the end as early as possible.
func checkFirstHour(t *testing.T, s *servertest.Server, key, id string, price *big.Rat) {
	t.Helper()
	if w := s.Call(key, http.MethodGet, "/wallet", nil).Data; new(big.Rat).Sub(
		big.NewRat(1000, 1), dollars(w["balance"]),
	).Cmp(price) != 0 || w["held"] != 0.0 {
		t.Errorf("one hour at %s leaves %v", price.FloatString(6), w)
	}
	if a := s.Call(key, http.MethodGet, "/deployments/"+id+"/can-terminate", nil); a.Data["canTerminate"] != false ||
		a.Data["remainingSeconds"].(float64) < 1400 {
		t.Errorf("can-terminate: %d %s", a.Status, a.Body)
	}
	if a := s.Call(key, http.MethodDelete, "/deployments/"+id, nil); a.Status != http.StatusBadRequest ||
		a.Code() != "MINIMUM_RUNTIME_NOT_MET" {
		t.Errorf("terminate at once: %d %s", a.Status, a.Body)
	}
	if a := s.Call(key, http.MethodDelete, "/deployments/"+id+"?when=earliest", nil); a.Status != http.StatusAccepted {
		t.Fatalf("terminate as soon as may be: %d %s", a.Status, a.Body)
	}
}

func quickStart(t *testing.T, cloud *voltageparktest.Cloud, s *servertest.Server) bought {
	t.Helper()
	_, key := s.Key("1000", "--read-limit", "100000", "--write-limit", "1000")
	s.Restart()
	me, other := newIdentity(t), newIdentity(t)

	if a := s.Call(
		key, http.MethodPost, "/ssh-keys", map[string]any{"name": "my-laptop", "publicKey": me.public},
	); a.Status != http.StatusCreated {
		t.Fatalf("add a key: %d %s", a.Status, a.Body)
	}
	kind := "BARE_METAL"
	if !mayListenAt22(t) { // a bare-metal machine of this cloud has no other port
		kind = "VM"
	}
	offer := awaitB200(t, s, key, kind)
	// The specification's body; a VM has its own operating system and number of GPUs.
	body := map[string]any{
		"provider": "voltage-park", "offerId": offer["id"], "gpuType": "NVIDIA B200", "gpuCount": 8,
		"region":          "dallas-usa-5",
		"operatingSystem": "Ubuntu 22.04", "instanceType": "BARE_METAL", "ssh_public_key": me.public,
		"name": "my-training-run",
	}
	price := big.NewRat(3490*8*11, 10_000) // the cloud's price plus 10 percent
	if kind == "VM" {
		maps.Copy(
			body,
			map[string]any{
				"gpuCount": offer["gpuCount"], "operatingSystem": offer["operatingSystems"].([]any)[0],
				"instanceType": "VM",
			},
		)
		price = big.NewRat(3240*11, 10_000)
	}
	if dollars(offer["hourlyPrice"]).Cmp(price) != 0 {
		t.Errorf("the offer costs %v, want %s", offer["hourlyPrice"], price.FloatString(6))
	}
	// The cloud's answer to the create is lost. Billet never creates twice; it looks up the
	// machine at once, and otherwise in half a minute.
	cloud.InjectFault(providertest.Fault{Kind: providertest.LostResponse, Writes: true, Times: 1})
	a := s.Call(key, http.MethodPost, "/deployments", body)
	if a.Status != http.StatusCreated {
		t.Fatalf("deploy: %d %s", a.Status, a.Body)
	}
	id := a.Data["id"].(string)
	await(t, "the machine at the cloud", func() bool { return len(cloud.MachineIDs()) > 0 })
	cloud.Advance(2 * time.Minute)
	running := awaitRunning(t, s, key, id)

	wantUser := map[string]string{"BARE_METAL": "ubuntu", "VM": "user"}[kind]
	if running["sshUser"] != wantUser ||
		!strings.Contains(running["sshCommand"].(string), wantUser+"@"+running["ipAddress"].(string)) {
		t.Errorf("log in as %v with %v", running["sshUser"], running["sshCommand"])
	}
	if out := me.runBy(t, me.dialUnknown, running, "id -un"); !strings.Contains(out, "a machine of a fake cloud") {
		t.Errorf("inside the machine: %q", out)
	}
	if _, err := other.dialUnknown(running); err == nil {
		t.Error("another key gets in")
	}
	if made := cloud.MachineIDs(); len(made) != 1 {
		t.Errorf("the cloud made %v", made)
	}

	checkFirstHour(t, s, key, id, price)
	s.Stop()
	checkNoKey(t, s, voltageparktest.Token)
	return bought{cloud, s, key, running}
}

// useSimulatedClock restarts the server with a clock that can be advanced, which is allowed
// because the cloud is on this machine. It adds a volume and waits for the scheduled termination.
func (b bought) useSimulatedClock(t *testing.T) {
	t.Helper()
	cloud, s, key, d := b.cloud, b.server, b.key, b.deployment
	s.Args = append(s.Args, "--sim")
	s.Restart()
	id := d["id"].(string)
	forth := func(by time.Duration) {
		cloud.Advance(by)
		s.Advance(by.String())
	}
	volume := ""
	if d["instanceType"] == "BARE_METAL" { // VMs of this cloud have no storage
		a := s.Call(
			key, http.MethodPost, "/volumes",
			map[string]any{"name": "datasets", "sizeGb": 100, "provider": "voltage-park", "region": "dallas-usa-5"},
		)
		if a.Status != http.StatusCreated {
			t.Fatalf("make a volume: %d %s", a.Status, a.Body)
		}
		volume = a.Data["id"].(string)
		until := func(status string) (v map[string]any) {
			await(t, "a volume that is "+status, func() bool {
				if v = s.Call(key, http.MethodGet, "/volumes/"+volume, nil).Data; v["status"] != status {
					forth(31 * time.Second)
				}
				return v["status"] == status
			})
			return v
		}
		until("available")
		if a := s.Call(
			key, http.MethodPost, "/volumes/"+volume+"/attach", map[string]any{"deploymentId": id},
		); a.Status != http.StatusAccepted {
			t.Fatalf("attach: %d %s", a.Status, a.Body)
		}
		if v := until("attached"); v["attachedTo"] != id || !strings.Contains(v["mountPath"].(string), ":/") {
			t.Errorf("attached: %v", v)
		}
	}
	forth(26 * time.Minute)
	await(t, "the end", func() bool {
		if d = s.Call(key, http.MethodGet, "/deployments/"+id, nil).Data; d["status"] != "terminated" {
			forth(31 * time.Second)
		}
		return d["status"] == "terminated"
	})
	if left := cloud.MachineIDs(); len(left) != 0 {
		t.Errorf("left at the cloud: %v", left)
	}
	if ran := instant(t, d["billedUntil"]).Sub(instant(t, d["startedAt"])); ran != 25*time.Minute {
		t.Errorf("billed for %s; the end was wanted as soon as may be", ran)
	}
	spent := dollars(d["costToDate"])
	want := new(big.Rat).Mul(dollars(d["hourlyPrice"]), big.NewRat(25, 60))
	if off := new(big.Rat).Sub(spent, want); off.Abs(off).Cmp(big.NewRat(1, 1_000_000)) > 0 {
		t.Errorf("25 minutes cost %s, want %s", spent.FloatString(6), want.FloatString(6))
	}
	if volume != "" {
		if a := s.Call(key, http.MethodDelete, "/volumes/"+volume, nil); a.Status != http.StatusAccepted &&
			a.Status != http.StatusOK {
			t.Fatalf("delete the volume: %d %s", a.Status, a.Body)
		}
		await(t, "the end of the volume", func() bool {
			v := s.Call(key, http.MethodGet, "/volumes/"+volume, nil).Data
			if v["status"] == "deleted" {
				spent.Add(spent, dollars(v["costToDate"]))
				return true
			}
			forth(31 * time.Second)
			return false
		})
	}
	w := s.Call(key, http.MethodGet, "/wallet", nil).Data
	if paid := new(big.Rat).Sub(big.NewRat(1000, 1), dollars(w["balance"])); paid.Cmp(spent) != 0 || w["held"] != 0.0 {
		t.Errorf("the wallet has paid %s for what cost %s: %v", paid.FloatString(6), spent.FloatString(6), w)
	}
	sum := new(big.Rat)
	for _, line := range s.Call(key, http.MethodGet, "/wallet/transactions?limit=100", nil).List {
		sum.Add(sum, dollars(line.(map[string]any)["amount"]))
	}
	if sum.Cmp(dollars(w["balance"])) != 0 {
		t.Errorf("the statement adds up to %s, the balance is %v", sum.FloatString(6), w["balance"])
	}
	s.Stop()
	checkNoKey(t, s, voltageparktest.Token)
}

// awaitRunning long-polls, as a tenant would.
func awaitRunning(t *testing.T, s *servertest.Server, key, id string) (d map[string]any) {
	t.Helper()
	await(t, "a deployment that runs", func() bool {
		d = s.Call(key, http.MethodGet, "/deployments/"+id+"?waitFor=running&timeoutSeconds=20", nil).Data
		return d["status"] == "running"
	})
	return d
}

func mayListenAt22(t *testing.T) bool {
	t.Helper()
	m, err := upstreamtest.ListenSSH("root", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	return m.Port == 22
}

// checkNoKey searches the server's log and all files of its data directory for an API key.
func checkNoKey(t *testing.T, s *servertest.Server, key string) {
	t.Helper()
	if strings.Contains(s.Log(), key) {
		t.Errorf("the log tells the key:\n%s", s.Log())
	}
	files := 0
	err := filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if files++; strings.Contains(string(text), key) {
			t.Errorf("%s tells the key", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("read %d files: %v", files, err)
	}
}
