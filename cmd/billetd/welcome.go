package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/billetcloud/billet/internal/app"
)

// welcome prints URLs and a quick start. Its commands work when pasted into a terminal in any
// directory, so programs that are not on the PATH are named by their path.
func welcome(w io.Writer, s app.Started, c app.Config) {
	fmt.Fprintf(w, "Billet serves at %s\n  dashboard:            %s\n  API documentation:    %s/docs\n", s.URL, s.URL,
		s.URL)
	if s.SetupURL != "" {
		fmt.Fprintf(w, "  set up this server:   %s (the code is in the log)\n", s.SetupURL)
	}
	if s.Unisolated {
		fmt.Fprint(w, `
  !! SIMULATED MACHINES ARE NOT ISOLATED (--sim-unisolated): anyone who logs in to one has all
  !! rights of the user who runs this server, and can read its secret.key.

`)
	}
	if s.Demo == nil {
		return
	}
	fmt.Fprintf(w, `  demo account:         sign in with %s and the password %s
                        (both are in %s, with the API key below)
%s
Quick start, ready to paste into another terminal:

  export BILLET_URL=%s BILLET_API_KEY=%s
  [ -f ~/.ssh/id_ed25519 ] || ssh-keygen -t ed25519 -N "" -f ~/.ssh/id_ed25519

  # 1. Add your SSH key
  curl -X POST $BILLET_URL/api/v1/inventory/ssh-keys \
    -H "Authorization: Bearer $BILLET_API_KEY" -H "Content-Type: application/json" \
    -d "{\"name\": \"my-laptop\", \"publicKey\": \"$(cat ~/.ssh/id_ed25519.pub)\"}"

  # 2. Browse available GPUs
  curl "$BILLET_URL/api/v1/inventory/offers?search=b200" -H "Authorization: Bearer $BILLET_API_KEY"

  # 3. Deploy
  curl -X POST $BILLET_URL/api/v1/inventory/deployments \
    -H "Authorization: Bearer $BILLET_API_KEY" -H "Content-Type: application/json" -d "{
    \"provider\": \"voltage-park\", \"offerId\": \"off_abc123\", \"gpuType\": \"NVIDIA B200\", \"gpuCount\": 8,
    \"region\": \"dallas-usa-5\", \"operatingSystem\": \"Ubuntu 22.04\", \"instanceType\": \"BARE_METAL\",
    \"ssh_public_key\": \"$(cat ~/.ssh/id_ed25519.pub)\", \"name\": \"my-training-run\"}"

  # 4. Connect over SSH when the status is "running", with the deployment's sshCommand
  $(curl -s "$BILLET_URL/api/v1/inventory/deployments?status=running&limit=1" \
    -H "Authorization: Bearer $BILLET_API_KEY" | sed -n 's/.*"sshCommand":"\([^"]*\)".*/\1/p')
%s
Or use the command line, which prompts for everything:

  %s login %s
  %s deploy

To skip the minimum runtime of 25 minutes:

  %s sim advance 26m --data-dir %s
`, s.Demo.Email, s.Demo.Password, s.DemoFile, passkeyNote(c.PublicURL), s.URL, s.Demo.APIKey, sshPorts(c.Sim),
		program("billet"), s.URL, program("billet"),
		program("billetd"), quoted(absolute(filepath.Dir(s.DemoFile))))
}

// passkeyNote says where passkeys work, if there is no public URL.
func passkeyNote(publicURL string) string {
	if publicURL != "" {
		return ""
	}
	return "                        passkeys work at http://localhost, not at 127.0.0.1\n"
}

// program returns how to call the program with this name next to the current one: by its name if
// the PATH finds it, otherwise by its path.
func program(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := filepath.Join(filepath.Dir(self), name)
	installed, err := os.Stat(path)
	if err != nil { // installed elsewhere, if at all
		return name
	}
	if found, err := exec.LookPath(name); err == nil {
		if known, err := os.Stat(found); err == nil && os.SameFile(known, installed) {
			return name
		}
	}
	return quoted(path)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// quoted quotes a path for a shell.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// self returns the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return "<path of billetd>"
	}
	return quoted(path)
}

// sshPorts notes on which port simulated machines listen if this user may not listen on port 22.
func sshPorts(simulated bool) string {
	if !simulated {
		return ""
	}
	l, err := net.Listen("tcp", "127.255.255.254:22")
	if err == nil {
		_ = l.Close()
	}
	if !errors.Is(err, syscall.EACCES) {
		return ""
	}
	return `
     This user may not listen on port 22, so simulated machines use port 2222. To use port 22, run
       sudo setcap cap_net_bind_service=+ep ` + self() + `
`
}
