package e2e_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	"golang.org/x/crypto/ssh"
)

// identity is a key pair, with its public half as a line.
type identity struct {
	signer ssh.Signer
	public string
}

func newIdentity(t testing.TB) identity {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return identity{signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))}
}

// dial logs in to a deployment with the address and host keys of the API.
func (i identity) dial(d map[string]any) (*ssh.Client, error) {
	_, _, host, _, _, err := ssh.ParseKnownHosts([]byte(d["sshHostKeys"].([]any)[0].(string)))
	if err != nil {
		return nil, err
	}
	return i.login(d, ssh.FixedHostKey(host), host.Type())
}

// dialUnknown is dial without known host keys: some clouds state none.
func (i identity) dialUnknown(d map[string]any) (*ssh.Client, error) {
	return i.login(d, ssh.InsecureIgnoreHostKey())
}

func (i identity) login(d map[string]any, host ssh.HostKeyCallback, kinds ...string) (*ssh.Client, error) {
	return ssh.Dial("tcp", net.JoinHostPort(d["ipAddress"].(string), fmt.Sprint(d["sshPort"])), &ssh.ClientConfig{
		User: d["sshUser"].(string), Auth: []ssh.AuthMethod{
			ssh.PublicKeys(i.signer),
		}, HostKeyCallback: host, HostKeyAlgorithms: kinds, Timeout: time.Minute,
	})
}

// run runs a command on a deployment and returns its output.
func (i identity) run(t testing.TB, d map[string]any, command string) string {
	t.Helper()
	return i.runBy(t, i.dial, d, command)
}

func (i identity) runBy(
	t testing.TB,
	dial func(map[string]any) (*ssh.Client, error),
	d map[string]any,
	command string,
) string {
	t.Helper()
	c, err := dial(d)
	if err != nil {
		t.Fatalf("log in: %v", err)
	}
	defer func() { _ = c.Close() }()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// upstream returns the references of all machines that really exist in the simulator.
func upstream(t testing.TB, s *servertest.Server) []string {
	t.Helper()
	var status struct {
		Now      time.Time
		Machines []struct{ ID, Provider, Reference, State string }
	}
	if err := json.Unmarshal([]byte(s.Run("sim", "status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, m := range status.Machines {
		if m.ID == "" || m.Provider == "" || m.State == "" {
			t.Errorf("sim status: %+v", m)
		}
		out = append(out, m.Reference)
	}
	return out
}

// awaitVolume waits until a volume has the status.
func awaitVolume(t testing.TB, s *servertest.Server, key, id, status string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		a := s.Call(key, "GET", "/volumes/"+id, nil)
		if a.Data["status"] == status {
			return a.Data
		}
		s.Advance("1s")
	}
	t.Fatalf("%s is not %s: %s", id, status, s.Call(key, "GET", "/volumes/"+id, nil).Body)
	return nil
}

// A machine is private to its tenant and keeps its files when the server is killed. Its volume's
// files outlive it.
func TestMachinesAndVolumesSurviveTheServer(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000", "--write-limit", "1000")
		me, other := newIdentity(t), newIdentity(t)
		a := s.Call(
			key, "POST", "/volumes",
			map[string]any{"name": "datasets", "sizeGb": 100, "provider": "voltage-park", "region": "dallas-usa-5"},
		)
		if a.Status != 201 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		v := a.Data["id"].(string)
		awaitVolume(t, s, key, v, "available")
		first := s.Running(key, s.Deploy(key, "first", me.public))
		id := first["id"].(string)
		if got := upstream(t, s); len(got) != 1 || got[0] != id {
			t.Fatalf("upstream %v", got)
		}
		if a := s.Call(key, "POST", "/volumes/"+v+"/attach", map[string]any{"deploymentId": id}); a.Status != 202 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		mount := awaitVolume(t, s, key, v, "attached")["mountPath"].(string)
		if mount != "/mnt/datasets" {
			t.Fatalf("mounted at %s", mount)
		}
		me.run(t, first, "echo kept > "+mount+"/file && echo home > /root/file && hostname")

		s.Kill()
		if got := me.run(t, first, "cat /root/file"); got != "home" {
			t.Fatalf("while the server is dead: %q", got)
		}
		s.Restart()
		again := s.Await(key, id, "running")
		if again["ipAddress"] != first["ipAddress"] ||
			me.run(t, again, "cat /root/file "+mount+"/file") != "home\nkept" {
			t.Fatalf("after the restart: %v", again)
		}
		if c, err := other.dial(again); err == nil {
			_ = c.Close()
			t.Fatal("another tenant's key was accepted")
		}

		if a := s.Call(key, "DELETE", "/deployments/"+id, nil); a.Status != 400 ||
			a.Code() != "MINIMUM_RUNTIME_NOT_MET" || a.Header.Get("Retry-After") == "" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		s.Advance("26m")
		if a := s.Call(key, "DELETE", "/deployments/"+id, nil); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		s.Advance("1m")
		s.Await(key, id, "terminated")
		if got := upstream(t, s); len(got) != 0 {
			t.Fatalf("upstream %v", got)
		}
		awaitVolume(t, s, key, v, "available")

		a = s.Call(key, "POST", "/deployments", map[string]any{
			"offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04", "name": "second",
			"ssh_public_key": me.public, "volumeIds": []string{v},
		})
		if a.Status != 201 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		second := s.Running(key, a.Data["id"].(string))
		awaitVolume(t, s, key, v, "attached")
		if got := me.run(t, second, "cat "+mount+"/file; ls /root"); got != "kept" {
			t.Fatalf("in the next machine: %q", got)
		}
	})
}

func TestBillCanBeRecomputed(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		_, key := s.Key("1000", "--read-limit", "10000")
		d := s.Running(key, s.Deploy(key, "billed", newIdentity(t).public))
		id := d["id"].(string)
		s.Advance("26m")
		ended := s.Call(key, "DELETE", "/deployments/"+id, nil)
		if ended.Status != 200 {
			t.Fatalf("%s", ended.Body)
		}
		s.Advance("2h")
		d = s.Await(key, id, "terminated")
		started, err1 := time.Parse(time.RFC3339, d["startedAt"].(string))
		stopped, err2 := time.Parse(time.RFC3339, d["terminatedAt"].(string))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		micros := func(v any) int64 { // exact, because there are at most six decimals
			return int64(v.(float64)*1e6 + 0.5)
		}
		price, unused := micros(d["hourlyPrice"]), 3600-int64(stopped.Sub(started)/time.Second)
		want := price - (price*unused*2+3600)/7200
		if got := micros(d["costToDate"]); got != want || unused <= 0 {
			t.Fatalf("cost %d, recomputed %d", got, want)
		}
		w := s.Call(key, "GET", "/wallet", nil).Data
		if micros(w["balance"]) != 1_000_000_000-want || w["held"] != 0.0 || w["hourlyCost"] != 0.0 ||
			w["hoursLeft"] != nil {
			t.Fatalf("%v", w)
		}
		list := s.Call(key, "GET", "/wallet/transactions?limit=100", nil).List
		var kinds []string
		sum := 0.0
		for _, line := range list {
			kinds = append(kinds, line.(map[string]any)["type"].(string))
			sum += line.(map[string]any)["amount"].(float64)
		}
		if got := strings.Join(kinds, " "); got != "refund charge release hold credit" ||
			int64(sum*1e6+0.5) != 1_000_000_000-want {
			t.Fatalf("%s, sum %f", got, sum)
		}
		usage := s.Call(key, "GET", "/wallet/usage?groupBy=deployment", nil)
		if usage.Status != 200 || micros(usage.Data["total"]) != want {
			t.Fatalf("%s", usage.Body)
		}
		csv := s.Call(key, "GET", "/wallet/transactions?format=csv", nil)
		if lines := strings.Count(string(csv.Body), "\n"); lines != 6 ||
			!strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") {
			t.Fatalf("%d lines of %s", lines, csv.Body)
		}
	})
}

// A past-due account is warned, loses its deployments after an hour, and its volumes after a week.
func TestPastDue(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim")...)
		account, key := s.Key("80", "--read-limit", "10000")
		a := s.Call(
			key, "POST", "/volumes",
			map[string]any{"name": "kept", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5"},
		)
		if a.Status != 201 {
			t.Fatalf("%s", a.Body)
		}
		v := a.Data["id"].(string)
		awaitVolume(t, s, key, v, "available")
		d := s.Running(key, s.Deploy(key, "expensive", newIdentity(t).public))
		id := d["id"].(string)
		s.Advance("2h30m") // the third hour is not covered
		w := s.Call(key, "GET", "/wallet", nil).Data
		if w["balance"].(float64) >= 0 || s.Await(key, id, "running")["status"] != "running" {
			t.Fatalf("%v", w)
		}
		due, _ := w["pastDue"].(map[string]any)
		at := func(name string) time.Time {
			text, _ := due[name].(string)
			found, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Errorf("%s of %v: %v", name, due, err)
			}
			return found
		}
		if since := at("since"); at("deploymentsEndAt") != since.Add(time.Hour) ||
			at("volumesDeletedAt") != since.Add(7*24*time.Hour) {
			t.Errorf("%v", due)
		}
		for path, body := range map[string]any{
			"/deployments": map[string]any{
				"offerId": "off_abc123", "operatingSystem": "Ubuntu 22.04", "name": "more",
				"ssh_public_key": newIdentity(t).public,
			},
			"/volumes": map[string]any{
				"name": "more", "sizeGb": 10, "provider": "voltage-park", "region": "dallas-usa-5",
			},
		} {
			if a := s.Call(key, "POST", path, body); a.Status != 402 || a.Code() != "INSUFFICIENT_BALANCE" {
				t.Errorf("%s in past due: %d %s", path, a.Status, a.Body)
			}
		}
		s.Advance("40m") // an hour after the third hour began
		s.Await(key, id, "terminated")
		if v := s.Call(key, "GET", "/volumes/"+v, nil).Data; v["status"] != "available" {
			t.Fatalf("the volume went with the machine: %v", v)
		}
		s.Run("wallet", "credit", "--account", account, "--amount", "500")
		if due, there := s.Call(key, "GET", "/wallet", nil).Data["pastDue"]; due != nil || !there {
			t.Errorf("past due although it is paid: %v", due)
		}
		s.Advance("8d") // paid in time: nothing else happens
		if v := s.Call(key, "GET", "/volumes/"+v, nil).Data; v["status"] != "available" {
			t.Fatalf("%v", v)
		}
		s.Run("wallet", "credit", "--account", account, "--amount", "-1000", "--note", "charged back")
		s.Advance("6d")
		if v := s.Call(key, "GET", "/volumes/"+v, nil).Data; v["status"] != "available" {
			t.Fatalf("%v", v)
		}
		s.Advance("25h")
		awaitVolume(t, s, key, v, "deleted")
	})
}
