package quickstart_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// The first three steps of the specification. Only the words in capitals are replaced.
const (
	addKey = `curl -sS -X POST HOST/api/v1/inventory/ssh-keys \
-H "Authorization: Bearer KEY" \
-H "Content-Type: application/json" \
-d '{
"name": "my-laptop",
"publicKey": "PUBLIC"
}'`
	browse = `curl -sS HOST/api/v1/inventory/offers?search=b200 \
-H "Authorization: Bearer KEY"`
	deploy = `curl -sS -X POST HOST/api/v1/inventory/deployments \
-H "Authorization: Bearer KEY" \
-H "Content-Type: application/json" \
-d '{
"provider": "voltage-park",
"offerId": "off_abc123",
"gpuType": "NVIDIA B200",
"gpuCount": 8,
"region": "dallas-usa-5",
"operatingSystem": "Ubuntu 22.04",
"instanceType": "BARE_METAL",
"ssh_public_key": "PUBLIC",
"name": "my-training-run"
}'`
)

type demoAccount struct{ URL, Email, Password, APIKey string }

func readDemo(t *testing.T, s *servertest.Server) demoAccount {
	t.Helper()
	var demo demoAccount
	path := filepath.Join(s.Dir, "demo.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &demo); err != nil || demo.URL != s.URL || demo.Email == "" || demo.Password == "" {
		t.Fatalf("demo.json: got %s, %v; want the URL %s, an email address and a password", b, err, s.URL)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("demo.json: got mode %v, %v; want 0600", info.Mode(), err)
	}
	return demo
}

type offer struct {
	ID, Provider, GPUType, Region, InstanceType string
	GPUCount                                    int
	HourlyPrice                                 float64
	Available                                   bool
	OperatingSystems                            []string
}

// isDocumented reports whether it is the offer that the specification's example names.
func (o offer) isDocumented() bool {
	return o.ID == "off_abc123" && o.Provider == "voltage-park" && o.GPUType == "NVIDIA B200" && o.GPUCount == 8 &&
		o.Region == "dallas-usa-5" && o.InstanceType == "BARE_METAL" && o.Available &&
		slices.Contains(o.OperatingSystems, "Ubuntu 22.04")
}

func TestSpecificationQuickStart(t *testing.T) {
	for _, tool := range []string{"curl", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: %v", tool, err)
		}
	}
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--demo")...)
		demo := readDemo(t, s)
		home := t.TempDir()
		sh(
			t,
			home,
			`ssh-keygen -q -t ed25519 -N "" -C user@machine -f id_ed25519 && ssh-keygen -q -t ed25519 -N "" -f other`,
		)
		public, err := os.ReadFile(filepath.Join(home, "id_ed25519.pub"))
		if err != nil {
			t.Fatal(err)
		}
		page := strings.NewReplacer("HOST", s.URL, "KEY", demo.APIKey, "PUBLIC", strings.TrimSpace(string(public)))

		var key struct {
			Success bool
			Data    struct{ ID, Name string }
		}
		decode(t, sh(t, home, page.Replace(addKey)), &key)
		if !key.Success || key.Data.Name != "my-laptop" || !strings.HasPrefix(key.Data.ID, "ssh_") {
			t.Fatalf("add an SSH key: got %+v", key)
		}

		var offers struct {
			Success    bool
			Data       []offer
			Pagination struct{ Total int }
		}
		decode(t, sh(t, home, page.Replace(browse)), &offers)
		for _, o := range offers.Data {
			if !strings.Contains(strings.ToLower(o.GPUType), "b200") {
				t.Errorf("search=b200: got the offer %+v", o)
			}
		}
		if !offers.Success || !slices.ContainsFunc(offers.Data, offer.isDocumented) ||
			offers.Pagination.Total != len(offers.Data) {
			t.Fatalf("browse offers: got %+v, want off_abc123 among them", offers)
		}

		var created struct {
			Success bool
			Data    struct{ ID, Name, Status string }
		}
		decode(t, sh(t, home, page.Replace(deploy)), &created)
		if !created.Success || created.Data.Name != "my-training-run" {
			t.Fatalf("deploy: got %+v", created)
		}
		connect(t, home, s.Await(demo.APIKey, created.Data.ID, "running"))
	})
}

// connect logs in to the running deployment with its key, and is refused with another.
func connect(t *testing.T, home string, d map[string]any) {
	t.Helper()
	known := ""
	for _, line := range d["sshHostKeys"].([]any) {
		known += line.(string) + "\n"
	}
	if err := os.WriteFile(filepath.Join(home, "known_hosts"), []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	options := ` -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=known_hosts` +
		` -o IdentitiesOnly=yes -o IdentityAgent=none `
	command := d["sshCommand"].(string)
	if !strings.HasSuffix(command, "root@"+d["ipAddress"].(string)) {
		t.Fatalf("sshCommand: got %q, want it to end in root@%v", command, d["ipAddress"])
	}
	out := sh(t, home, command+options+`-i id_ed25519 'id -un; hostname; nvidia-smi -L'`)
	if !strings.HasPrefix(out, "root\n") || strings.Count(out, "B200") != 8 {
		t.Fatalf("on the machine: got %q, want root and eight GPUs", out)
	}
	if out, err := try(home, command+options+"-i other true"); err == nil ||
		!strings.Contains(out, "Permission denied") {
		t.Fatalf("with another key: got %q, %v, want permission denied", out, err)
	}
}

func try(dir, script string) (string, error) {
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

func sh(t *testing.T, dir, script string) string {
	t.Helper()
	out, err := try(dir, script)
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return out
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
