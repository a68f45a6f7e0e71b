package quickstart_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// The four steps, as the page has them. In the first three only what is in capitals is replaced.
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

func TestThePagesFourSteps(t *testing.T) {
	for _, tool := range []string{"curl", "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed: %v", tool, err)
		}
	}
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--demo")...)
		var demo struct{ URL, Email, Password, APIKey string }
		b, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &demo); err != nil || demo.URL != s.URL || demo.Email == "" || demo.Password == "" {
			t.Fatalf("demo.json: %s %v", b, err)
		}
		if info, err := os.Stat(filepath.Join(s.Dir, "demo.json")); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("demo.json has mode %v, %v", info.Mode(), err)
		}

		home := t.TempDir()
		sh(t, home, `ssh-keygen -q -t ed25519 -N "" -C user@machine -f id_ed25519 && ssh-keygen -q -t ed25519 -N "" -f other`)
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
			t.Fatalf("%+v", key)
		}

		var offers struct {
			Success bool
			Data    []struct {
				ID, Provider, GPUType, Region, InstanceType string
				GPUCount                                    int
				HourlyPrice                                 float64
				Available                                   bool
				OperatingSystems                            []string
			}
			Pagination struct{ Total int }
		}
		decode(t, sh(t, home, page.Replace(browse)), &offers)
		found := false
		for _, o := range offers.Data {
			if !strings.Contains(strings.ToLower(o.GPUType), "b200") {
				t.Errorf("the search for b200 found %+v", o)
			}
			found = found || o.ID == "off_abc123" && o.Provider == "voltage-park" && o.GPUType == "NVIDIA B200" && o.GPUCount == 8 &&
				o.Region == "dallas-usa-5" && o.InstanceType == "BARE_METAL" && o.Available && strings.Contains(strings.Join(o.OperatingSystems, ","), "Ubuntu 22.04")
		}
		if !offers.Success || !found || offers.Pagination.Total != len(offers.Data) {
			t.Fatalf("%+v", offers)
		}

		var made struct {
			Success bool
			Data    struct{ ID, Name, Status string }
		}
		decode(t, sh(t, home, page.Replace(deploy)), &made)
		if !made.Success || made.Data.Name != "my-training-run" {
			t.Fatalf("%+v", made)
		}
		d := s.Await(demo.APIKey, made.Data.ID, "running")

		known := ""
		for _, line := range d["sshHostKeys"].([]any) {
			known += line.(string) + "\n"
		}
		if err := os.WriteFile(filepath.Join(home, "known_hosts"), []byte(known), 0o600); err != nil {
			t.Fatal(err)
		}
		options := ` -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=known_hosts -o IdentitiesOnly=yes -o IdentityAgent=none `
		command := d["sshCommand"].(string)
		if !strings.HasSuffix(command, "root@"+d["ipAddress"].(string)) {
			t.Fatalf("sshCommand is %q, ipAddress %v", command, d["ipAddress"])
		}
		if out := sh(t, home, command+options+`-i id_ed25519 'id -un; hostname; nvidia-smi -L'`); !strings.HasPrefix(out, "root\n") || strings.Count(out, "B200") != 8 {
			t.Fatalf("inside the machine: %q", out)
		}
		if out, err := try(home, command+options+"-i other true"); err == nil || !strings.Contains(out, "Permission denied") {
			t.Fatalf("a key that the deployment does not have: %q, %v", out, err)
		}
	})
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
