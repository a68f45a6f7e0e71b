package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/client"
)

// machine returns a running machine.
func machine() *client.Deployment {
	address, user, port := "192.0.2.7", "ubuntu", 2222
	return &client.Deployment{
		ID:          "dep_1",
		Name:        "training",
		Status:      client.DeploymentRunning,
		IPAddress:   &address,
		SSHUser:     &user,
		SSHPort:     &port,
		SSHHostKeys: []string{"[192.0.2.7]:2222 ssh-ed25519 AAAA"},
	}
}

// TestSSHTargetRejectsInjection checks that nothing from a server becomes an option, a pattern or a
// second line for ssh.
func TestSSHTargetRejectsInjection(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `a "b" 100%`)
	tool := &tool{
		System: System{
			Env: []string{"BILLET_CONFIG_DIR=" + dir, "BILLET_URL=https://billet.example:8443", "BILLET_API_KEY=x"},
		},
	}
	r, err := tool.sshTarget(machine())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ssh", "billet.example_8443", "dep_1.known_hosts")
	if b, err := os.ReadFile(file); err != nil || string(b) != "dep_1 ssh-ed25519 AAAA\n" {
		t.Errorf("%v %q", err, b)
	}
	if i, err := os.Stat(file); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, i.Mode())
	}
	if block := r.block("x"); !strings.Contains(
		block,
		`UserKnownHostsFile "`+filepath.Dir(dir)+`/a \"b\" 100%%/ssh/billet.example_8443/dep_1.known_hosts"`,
	) ||
		r.trustOnFirstUse() {
		t.Error(block)
	}
	for _, address := range []string{
		"-oProxyCommand=touch x", "", "a b", "a\nProxyCommand x", "*", "x@y", "fe80::1%eth0", "a..", "[::1]", "$(x)",
	} {
		d := machine()
		d.IPAddress = &address
		if _, err := tool.sshTarget(d); err == nil {
			t.Errorf("the address %q was accepted", address)
		}
	}
	for _, address := range []string{"2001:db8::1", "gpu.example", "10.0.0.1"} {
		d := machine()
		d.IPAddress = &address
		if _, err := tool.sshTarget(d); err != nil {
			t.Errorf("the address %q: %v", address, err)
		}
	}
	for _, user := range []string{"-lroot", "", "a b", "a\nb", "a@b", "%r"} {
		d := machine()
		d.SSHUser = &user
		if _, err := tool.sshTarget(d); err == nil {
			t.Errorf("the user %q was accepted", user)
		}
	}
	for _, id := range []string{"../dep", "a b", "*", "", "a\nb", "-x"} {
		d := machine()
		d.ID = id
		if _, err := tool.sshTarget(d); err == nil {
			t.Errorf("the id %q was accepted", id)
		}
	}
	for _, line := range []string{
		"", "ssh-ed25519 AAAA", "@cert-authority * AAAA", "h ssh-ed25519 AAAA more", "h ssh-ed25519 A A", "h -x AAAA",
		"h ssh-ed25519 !", "@revoked ssh-ed25519 AAAA",
	} {
		d := machine()
		d.SSHHostKeys = []string{line}
		if _, err := tool.sshTarget(d); err == nil {
			t.Errorf("the host key %q was accepted", line)
		}
	}
}

// TestSSHTargetWithoutHostKeys checks that an unknown host key is trusted on first use, and kept.
func TestSSHTargetWithoutHostKeys(t *testing.T) {
	t.Parallel()
	tool := &tool{
		System: System{
			Env: []string{"BILLET_CONFIG_DIR=" + t.TempDir(), "BILLET_URL=https://billet.example", "BILLET_API_KEY=x"},
		},
	}
	d := machine()
	d.SSHHostKeys = nil
	r, err := tool.sshTarget(d)
	if err != nil || !r.trustOnFirstUse() || !strings.Contains(r.block("x"), `dep_1.first_seen"`) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestShellQuoted(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"": "''", "a-b=c": "a-b=c", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'", "~": "'~'", "a;b": "'a;b'",
	} {
		if got := shellQuoted(word); got != want {
			t.Errorf("shellQuoted(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestRemote(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"training:a": "training", "dep_1:": "dep_1", "./a:b": "", "a": "", ":x": "", "/x:y": "", "a/b:c": "",
	} {
		ref, _, is := remote(arg)
		if !is {
			ref = ""
		}
		if ref != want {
			t.Errorf("remote(%q) = %q, want %q", arg, ref, want)
		}
	}
}

func TestSendsKeyInClear(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]bool{
		"https://billet.example": false, "http://127.0.0.1:8080": false, "http://localhost": false,
		"http://[::1]:80": false, "HTTP://billet.example": true, "http://10.0.0.1": true,
		"http://localhost.example": true,
	} {
		if sendsKeyInClear(at) != want {
			t.Errorf("sendsKeyInClear(%q) = %t", at, !want)
		}
	}
}

// TestAgentKeysHidesAPIKey checks that ssh-add does not get the API key.
func TestAgentKeysHidesAPIKey(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nenv >" + filepath.Join(dir, "env") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh-add"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("BILLET_API_KEY", "pk_live_x")
	t.Setenv("SSH_AUTH_SOCK", "here")
	tool := &tool{System: System{Env: os.Environ()}}
	tool.agentKeys(t.Context())
	if b, err := os.ReadFile(filepath.Join(dir, "env")); err != nil || strings.Contains(string(b), "pk_live_") ||
		!strings.Contains(string(b), "SSH_AUTH_SOCK=here") {
		t.Errorf("%v %s", err, b)
	}
}

// TestCopyConfigOfManyMachines checks that the file name stays within the limits of file systems.
func TestCopyConfigOfManyMachines(t *testing.T) {
	t.Parallel()
	tool := &tool{
		System: System{
			Env: []string{"BILLET_CONFIG_DIR=" + t.TempDir(), "BILLET_URL=https://billet.example", "BILLET_API_KEY=x"},
		},
	}
	var to []*sshTarget
	files := map[string]bool{}
	for i := range 100 {
		d := machine()
		d.ID = fmt.Sprintf("dep_%026d", i)
		r, err := tool.sshTarget(d)
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, r)
		file, err := tool.copyConfig(to)
		if err != nil || files[file] {
			t.Fatalf("%d machines: %s %v", len(to), file, err)
		}
		files[file] = true
	}
}
